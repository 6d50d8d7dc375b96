import type { Disk, DiskFile } from '../../ports/disk.ts';

/** A disk that one process has, and that a kill takes away from it: from `sever` on nothing it writes arrives. */
export class SeverableDisk implements Disk {
  readonly #disk: Disk;
  #severed = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  sever(): void {
    this.#severed = true;
  }

  async open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile> {
    if (mode !== 'read') this.#check();
    const file = await this.#disk.open(path, mode);
    const check = (): void => this.#check();
    return {
      get size() {
        return file.size;
      },
      async append(buffers) {
        check();
        await file.append(buffers);
      },
      read: (into, position) => file.read(into, position),
      async sync() {
        check();
        await file.sync();
      },
      async truncate(size) {
        check();
        await file.truncate(size);
      },
      close: () => file.close(),
    };
  }

  readFile(path: string): Promise<Buffer> {
    return this.#disk.readFile(path);
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    this.#check();
    await this.#disk.replaceFile(path, content);
  }

  exists(path: string): Promise<boolean> {
    return this.#disk.exists(path);
  }

  list(path: string): Promise<string[]> {
    return this.#disk.list(path);
  }

  async makeDirectory(path: string): Promise<void> {
    this.#check();
    await this.#disk.makeDirectory(path);
  }

  async remove(path: string): Promise<void> {
    this.#check();
    await this.#disk.remove(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check();
    await this.#disk.rename(from, to);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#check();
    await this.#disk.syncDirectory(path);
  }

  #check(): void {
    if (this.#severed) throw Object.assign(new Error('EIO: the process was killed'), { code: 'EIO' });
  }
}
