// Undo and redo of the settings: states in the order in which they were left.

const MOST = 100;

export class History {
  /** `take()` gives the present state, `restore(state)` goes back to one; `onChange` is called when there is more or less to undo. */
  constructor({ take, restore, onChange }) {
    Object.assign(this, { take, restore, onChange, past: [], future: [], group: null });
  }

  /** Note the state `before` a change. Changes of one `group` in a row, such as a slider's, are one step. */
  note(before, group) {
    if (group === this.group) return;
    this.group = group;
    this.past.push(before);
    this.past.splice(0, this.past.length - MOST);
    this.future = [];
    this.onChange();
  }

  /** What comes next is another step. */
  seal() {
    this.group = null;
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.take());
    this.restore(from.pop());
    this.seal();
    this.onChange();
  }
}
