/** The media type of a Content-Type header alone, in lower case; empty when there is none. */
export function mediaType(contentType: string | null): string {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
