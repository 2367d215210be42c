// Keeps the editor's pictures in this browser as they change, and brings them back.

import { Picture } from "./picture.js";
import { isSame } from "./same.js";
import { Store } from "./store.js";

/**
 * `getShared()` returns the shared settings; `onTrouble(text)` gets a sentence when a picture cannot be kept, once; `onChange(isOn)`
 * is called whenever keeping begins or ends. A picture that cannot be kept stays in the page all the same.
 */
export class Keeper {
  constructor({ account, getShared, onTrouble, onChange }) {
    Object.assign(this, { account, getShared, onTrouble, onChange, store: null, shared: null, writing: null });
    this.waiting = new Set();
    this.failed = new Set();
    // The record of each picture as it was stored.
    this.kept = new Map();
    this.gone = new WeakSet();
    this.orders = new WeakMap();
    this.count = 0;
  }

  /** Whether this browser keeps pictures. */
  get isOn() {
    return this.store !== null;
  }

  /** Open the store. Returns what it has from before, `{shared, pictures}`: null and none where nothing is kept. */
  async restore() {
    try {
      this.store = await Store.open(this.account, () => this.close());
      const { shared, records } = await this.store.load();
      const pictures = records.map(({ session, order, ...record }) => Picture.fromRecord(record));
      this.shared = shared;
      for (const picture of pictures) this.kept.set(picture, this.recordOf(picture));
      return { shared, pictures };
    } catch {
      // A private window, or a database that cannot be read: the editor works without.
      this.close();
      return { shared: null, pictures: [] };
    } finally {
      this.onChange(this.isOn);
      this.write();
    }
  }

  /** Keep a picture as it is now, and the shared settings; does nothing if neither has changed. */
  keep(picture) {
    if (this.gone.has(picture)) return;
    this.waiting.add(picture);
    this.write();
  }

  /** Delete what is kept of these pictures. */
  async drop(pictures) {
    for (const picture of pictures) {
      this.gone.add(picture);
      this.waiting.delete(picture);
      this.failed.delete(picture);
    }
    await this.writing;
    const kept = pictures.filter((picture) => this.kept.delete(picture));
    if (!this.isOn || kept.length === 0) return;
    await this.store.delete(kept.map(({ id }) => id)).catch(() => this.close());
    // There may be room again.
    for (const picture of this.failed) this.waiting.add(picture);
    this.failed.clear();
    this.write();
  }

  /** Whether closing the page loses nothing of it. */
  isKept(picture) {
    return this.isOn && isSame(this.kept.get(picture), this.recordOf(picture));
  }

  write() {
    if (this.isOn && this.waiting.size) this.writing ??= this.writeAll();
  }

  async writeAll() {
    while (this.isOn && this.waiting.size) {
      const [picture] = this.waiting;
      this.waiting.delete(picture);
      await this.put(picture);
    }
    // At once: what comes after the last look into the set has to begin another round.
    this.writing = null;
  }

  async put(picture) {
    const [record, shared] = [this.recordOf(picture), this.getShared()];
    if (isSame(this.kept.get(picture), record) && isSame(this.shared, shared)) return;
    try {
      await this.store.put(record, shared);
      this.kept.set(picture, record);
      this.shared = shared;
    } catch (error) {
      if (this.isOn && this.failed.size === 0) this.onTrouble(troubleText(error));
      this.failed.add(picture);
    }
  }

  recordOf(picture) {
    if (!this.orders.has(picture)) this.orders.set(picture, this.count++);
    return { ...picture.toRecord(), order: this.orders.get(picture) };
  }

  close() {
    this.store = null;
    this.kept.clear();
    this.onChange(this.isOn);
  }
}

function troubleText(error) {
  if (error.name === "QuotaExceededError") return gettext("This browser has no room to keep more pictures. You can go on, but reloading the page loses those that you have not downloaded.");
  return gettext("This browser cannot keep a picture. You can go on, but reloading the page loses what you have not downloaded.");
}
