// Keeps pictures in this browser's own database, so that a reload or a crash loses none. Nothing of it is sent anywhere.
//
// Each tab has a session: its pictures and its shared settings. A tab holds a lock on its session as long as it is open, so
// that two tabs never write the same rows. A session whose lock is free belonged to a tab that was closed; the next editor that
// opens takes its pictures over. Rows refer to Blobs by key: a background that 200 pictures share is stored once.

import { randomKey } from "./api.js";

const DATABASE = "editor";
// A higher version drops what a lower one has stored: it is temporary data.
const VERSION = 1;
const STORES = ["sessions", "pictures", "blobs"];
export const KEPT_DAYS = 7;
const DAY_MS = 24 * 60 * 60 * 1000;
// The name under which a tab finds its session again after a reload.
const SESSION = "editor-session";
// A page that is being left may hold its lock for a moment after the next one asks for it.
const PATIENCE_MS = 1500;

// Insecure origins have no locks, and there others could read the pictures.
const canKeep = () => Boolean(globalThis.indexedDB && navigator.locks);

/** Delete what is kept in this browser, of every account. Tabs that have it open stop keeping. */
export async function forgetEverything() {
  sessionStorage.removeItem(SESSION);
  if (canKeep()) await promised(indexedDB.deleteDatabase(DATABASE));
}

/** The pictures of one account that this tab keeps. */
export class Store {
  /**
   * Open the database and claim a session; what another account has left is deleted. `onClosed()` is called if the database
   * goes away later. Throws if this browser keeps nothing.
   */
  static async open(account, onClosed) {
    if (!canKeep()) throw new Error("This browser keeps nothing.");
    let database = await openDatabase();
    const sessions = await promised(database.transaction("sessions").objectStore("sessions").getAll());
    if (sessions.some((session) => session.account !== account)) {
      database.close();
      await forgetEverything();
      database = await openDatabase();
    }
    return new Store(database, account, await claimSession(), onClosed);
  }

  constructor(database, account, session, onClosed) {
    // `keys` names each Blob, `stored` has the keys of those in the database, `rows` the keys that each row refers to.
    Object.assign(this, { database, account, session, keys: new WeakMap(), stored: new Set(), rows: new Map() });
    // Another tab deletes the database, or runs a newer release.
    database.onversionchange = () => { database.close(); onClosed(); };
    database.onclose = onClosed;
  }

  /** What this tab kept, after what closed tabs have left: `{shared, records}`; `shared` is null if there is none. */
  async load() {
    const sessions = await promised(this.database.transaction("sessions").objectStore("sessions").getAll());
    const releases = new Map();
    for (const { id } of sessions) {
      const release = id === this.session ? () => {} : await claim(id, { ifAvailable: true });
      if (release) releases.set(id, release);
    }
    const found = await this.takeOver([...releases.keys()]);
    for (const release of releases.values()) release();
    await this.sweep();
    return found;
  }

  /** Make the pictures of the sessions `ids` this session's, without those that are too old. */
  async takeOver(ids) {
    const [sessions, pictures, blobs, transaction] = this.write();
    const requests = [sessions.getAll(), pictures.getAll(), blobs.getAllKeys(), blobs.getAll()];
    const [allSessions, allRows, keys, values] = await Promise.all(requests.map(promised));
    const { shared, rows } = merged(allSessions.filter(({ id }) => ids.includes(id)), allRows, this.session);
    for (const id of ids) sessions.delete(id);
    for (const { id } of allRows.filter((row) => ids.includes(row.session))) pictures.delete(id);
    for (const row of rows) pictures.put(row);
    if (rows.length) sessions.put(this.sessionRow(shared));
    await completed(transaction);
    const found = new Map(keys.map((key, at) => [key, values[at]]));
    for (const [key, blob] of found) this.keys.set(blob, key) && this.stored.add(key);
    for (const row of rows) this.rows.set(row.id, keysIn(row));
    return { shared: unpacked(shared, found), records: rows.map((row) => unpacked(row, found)) };
  }

  /** Store a picture's record, which has an `id`, and the shared settings. Throws what the browser reports. */
  async put(record, shared) {
    const fresh = new Map();
    const row = { ...this.packed(record, fresh), session: this.session };
    const session = this.sessionRow(this.packed(shared, fresh));
    const [sessions, pictures, blobs, transaction] = this.write();
    for (const [key, blob] of fresh) blobs.put(blob, key);
    pictures.put(row);
    sessions.put(session);
    await completed(transaction);
    for (const key of fresh.keys()) this.stored.add(key);
    const before = this.rows.get(row.id) ?? [];
    this.rows.set(row.id, keysIn(row));
    // A matte or a background that was replaced.
    if (before.some((key) => !this.rows.get(row.id).includes(key))) await this.sweep();
  }

  /** Delete pictures by their ids; without any left, the session too. */
  async delete(ids) {
    const [sessions, pictures, , transaction] = this.write();
    for (const id of ids) {
      pictures.delete(id);
      this.rows.delete(id);
    }
    if (this.rows.size === 0) sessions.delete(this.session);
    await completed(transaction);
    await this.sweep();
  }

  /** Delete the Blobs that no row of any tab refers to. */
  async sweep() {
    const [sessions, pictures, blobs, transaction] = this.write();
    const [allSessions, allRows, keys] = await Promise.all([sessions.getAll(), pictures.getAll(), blobs.getAllKeys()].map(promised));
    const used = new Set(keysIn([allSessions, allRows]));
    for (const key of keys.filter((key) => !used.has(key))) blobs.delete(key);
    await completed(transaction);
    // Another tab may have deleted some of them before.
    this.stored = new Set(keys.filter((key) => used.has(key)));
  }

  write() {
    const transaction = this.database.transaction(STORES, "readwrite");
    return [...STORES.map((name) => transaction.objectStore(name)), transaction];
  }

  sessionRow(shared) {
    return { id: this.session, account: this.account, shared, changed: Date.now() };
  }

  /** `value` with a reference for each Blob in it; those that are not stored yet are added to `fresh`. */
  packed(value, fresh) {
    if (value instanceof Blob) {
      if (!this.keys.has(value)) this.keys.set(value, randomKey());
      const blob = this.keys.get(value);
      if (!this.stored.has(blob)) fresh.set(blob, value);
      return { blob };
    }
    return mapped(value, (inner) => this.packed(inner, fresh));
  }
}

/** The fresh sessions' pictures in order, and the settings that they share: the tab's own, else the newest. */
function merged(sessions, allRows, own) {
  const fresh = sessions.filter(({ changed }) => changed > Date.now() - KEPT_DAYS * DAY_MS).sort((one, other) => one.changed - other.changed);
  const winner = fresh.find(({ id }) => id === own) ?? fresh.at(-1) ?? null;
  const inOrder = [...fresh.filter((session) => session !== winner), ...(winner ? [winner] : [])];
  const rows = inOrder.flatMap((session) => allRows
    .filter((row) => row.session === session.id)
    .sort((one, other) => one.order - other.order)
    // Pictures of another tab keep the look that they had there.
    .map((row) => ({ ...row, own: row.own ?? (session === winner ? null : session.shared) })));
  return { shared: winner?.shared ?? null, rows: rows.map((row, order) => ({ ...row, session: own, order })) };
}

function unpacked(value, blobs) {
  return typeof value?.blob === "string" ? blobs.get(value.blob) ?? null : mapped(value, (inner) => unpacked(inner, blobs));
}

const isPlain = (value) => value !== null && typeof value === "object";

function mapped(value, change) {
  if (Array.isArray(value)) return value.map(change);
  return isPlain(value) ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner)])) : value;
}

/** The keys of all Blobs that rows refer to. */
function keysIn(value) {
  if (!isPlain(value)) return [];
  return typeof value.blob === "string" ? [value.blob] : Object.values(value).flatMap(keysIn);
}

async function claimSession() {
  const earlier = sessionStorage.getItem(SESSION);
  // A duplicated tab has the name of a session that the first one holds.
  const isOurs = earlier !== null && (await claim(earlier, { signal: AbortSignal.timeout(PATIENCE_MS) })) !== null;
  const session = isOurs ? earlier : randomKey();
  if (!isOurs) await claim(session, {});
  sessionStorage.setItem(SESSION, session);
  return session;
}

/** Hold the lock of a session. Returns a function that releases it; null if it cannot be had. */
function claim(session, options) {
  return new Promise((done) => {
    const hold = (lock) => lock ? new Promise((release) => done(release)) : done(null);
    navigator.locks.request(`${DATABASE}-${session}`, options, hold).catch(() => done(null));
  });
}

async function openDatabase() {
  const opening = indexedDB.open(DATABASE, VERSION);
  opening.onupgradeneeded = () => {
    for (const name of opening.result.objectStoreNames) opening.result.deleteObjectStore(name);
    opening.result.createObjectStore("sessions", { keyPath: "id" });
    opening.result.createObjectStore("pictures", { keyPath: "id" });
    opening.result.createObjectStore("blobs");
  };
  try {
    return await promised(opening);
  } catch (error) {
    // A newer release was here before.
    if (error.name !== "VersionError") throw error;
    await promised(indexedDB.deleteDatabase(DATABASE));
    return openDatabase();
  }
}

function promised(request) {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

function completed(transaction) {
  return new Promise((done, fail) => {
    transaction.oncomplete = () => done();
    // Without room the transaction itself fails, after its requests succeeded.
    transaction.onabort = () => fail(transaction.error);
  });
}
