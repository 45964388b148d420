import { Upload, type UploadOptions } from 'tus-js-client';

export interface TusUpload {
  readonly upload: Upload;
  /** The id of the file that it became. */
  readonly fileId: string | null;
}

/** Sends content with an unmodified tus-js-client, and resolves when the client says that it is done. */
export function uploadByTus(
  endpoint: string,
  token: string,
  content: Buffer | NodeJS.ReadableStream,
  options: Partial<UploadOptions> = {},
): Promise<TusUpload> {
  let fileId: string | null = null;
  return new Promise((resolve, reject) => {
    const upload: Upload = new Upload(content as Buffer, {
      endpoint,
      headers: { authorization: `Bearer ${token}` },
      retryDelays: [0, 50, 100, 200, 400, 800, 1600, 3200],
      ...options,
      onError: reject,
      onSuccess: () => resolve({ upload, fileId }),
      onAfterResponse(request, response) {
        fileId = response.getHeader('Upload-File-Id') ?? fileId;
        options.onAfterResponse?.(request, response);
      },
    });
    upload.start();
  });
}
