import { uploadProblems } from './problems.ts';

const MAX_CHARACTERS = 255;

/**
 * A file name as it is kept: a label in Unicode normal form C, never a path. Slashes, dots, quotes and emoji mean
 * nothing and stay. Throws `uploads/invalid-name` for what is empty, longer than 255 characters, holds a control
 * character or is no well-formed Unicode.
 */
export function readFileName(sent: string): string {
  const name = sent.normalize('NFC');
  // A character has at most two code units, so far longer texts need not be counted.
  const isTooLong = name.length > 2 * MAX_CHARACTERS || [...name].length > MAX_CHARACTERS;
  if (name === '' || isTooLong || /\p{Cc}/u.test(name) || !name.isWellFormed())
    throw uploadProblems.create('invalid-name');
  return name;
}

/** What the content that a restore replaces is kept as: `report (before restore 2026-11-23).pdf`. */
export function nameOfCopy(name: string, on: Date): string {
  const mark = ` (before restore ${on.toISOString().slice(0, 10)})`;
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 && name.length - dot <= 16 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  const room = MAX_CHARACTERS - mark.length - extension.length;
  return `${[...stem].slice(0, room).join('')}${mark}${extension}`;
}
