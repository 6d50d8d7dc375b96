import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Where tests make many small files: in memory where that can be. */
export const scratch = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
