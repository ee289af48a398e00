// The signal that help was asked for. Its own file, so that main needs no flag parser to know it.

/** Thrown where `--help` is met; main prints the message to stdout and leaves with 0. */
export class HelpAsked extends Error {
  override readonly name = "HelpAsked";
}
