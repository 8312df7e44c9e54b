/** Runs work that is handed to it one piece after the other. */
export type InTurn = <Value>(work: () => Promise<Value>) => Promise<Value>;

export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const value = last.then(work);
    last = value.catch(() => {});
    return value;
  };
}
