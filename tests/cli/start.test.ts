import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addStart, settingsOf } from '../../src/cli/start.ts';
import { SETTINGS } from '../../src/config.ts';

/** A value of each kind that is not the default, as one would write it. */
function another(setting: { readonly default: unknown; readonly parse: (text: string) => unknown }): string {
  const fitting = ['7', '127.0.0.1:7', 'debug', 'User:a', 'true', 'false', '1048577', '700'].find((text) => {
    try {
      return JSON.stringify(setting.parse(text)) !== JSON.stringify(setting.default);
    } catch {
      return false;
    }
  });
  if (fitting === undefined) throw new Error('no value fits');
  return fitting;
}

test.each(Object.entries(SETTINGS))('the flag of %s is heard', async (key, setting) => {
  const wanted = setting.placeholder === undefined ? 'true' : another(setting as never);
  const program = new Command().exitOverride();
  let heard: unknown;
  addStart(program, async (options) => {
    heard = (await settingsOf(options))[key as keyof typeof SETTINGS];
  });
  const given = setting.placeholder === undefined ? [] : [wanted];
  await program.parseAsync(['start', `--${setting.flag}`, ...given], { from: 'user' });
  expect(heard).toEqual(setting.parse(wanted));
});
