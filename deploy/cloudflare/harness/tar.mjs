// Reads the archive that bundle.py writes: plain files, in the format ustar.

const BLOCK = 512;
const text = new TextDecoder();

/** Yield the path and the content of each file. */
export function* files(archive) {
  const bytes = new Uint8Array(archive);
  for (let at = 0; bytes[at]; ) {
    const field = (offset, length) => text.decode(bytes.subarray(at + offset, at + offset + length)).split("\0")[0];
    const size = Number.parseInt(field(124, 12), 8);
    const [name, folder] = [field(0, 100), field(345, 155)];
    yield [folder ? `${folder}/${name}` : name, bytes.slice(at + BLOCK, at + BLOCK + size)];
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}
