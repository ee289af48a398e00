// A line for people. console.error would colour it red on a terminal, as if everything were a failure.

export const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
