import { SETTINGS } from './schema.ts';
import type { Setting } from './values.ts';

/** `.env.example`: every setting, commented out, with its default and what it means. */
export function toEnvExample(): string {
  const [present, planned] = [settings(false), settings(true)];
  return [
    '# Settings of Bunkhouse. Copy this file to .env and uncomment what you change; an empty value counts as unset.',
    '# Sizes take KiB, MiB, GiB; times are seconds; rates are COUNT/SECONDS or off.',
    ...present.flatMap(toLines),
    '',
    '# These are read and checked, but have no effect in this version.',
    ...planned.flatMap(toLines),
    '',
  ].join('\n');
}

/** The settings as a table in Markdown. */
export function toSettingsTable(): string {
  const rows = settings(false).map(({ env, defaultText, description }) => {
    const names = env.map((name) => `\`${name}\``).join(', ');
    return `| ${names} | ${defaultText === undefined ? '–' : `\`${defaultText}\``} | ${description} |`;
  });
  return ['| setting | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

function toLines({ env, defaultText, description }: Setting): string[] {
  return ['', `# ${description}`, `#${env[0]}=${defaultText ?? ''}`];
}

function settings(arePlanned: boolean): Setting[] {
  return (Object.values(SETTINGS) as Setting[]).filter(({ isPlanned }) => isPlanned === arePlanned);
}
