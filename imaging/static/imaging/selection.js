// Which pictures are selected, for what is done to several at once.

export class Selection {
  /** `onChange()` is called after each change. */
  constructor(onChange) {
    Object.assign(this, { onChange, chosen: new Set(), anchor: null });
  }

  get size() {
    return this.chosen.size;
  }

  has(picture) {
    return this.chosen.has(picture);
  }

  /** The selected ones of `pictures`, in their order. */
  of(pictures) {
    return pictures.filter((picture) => this.chosen.has(picture));
  }

  toggle(picture) {
    if (!this.chosen.delete(picture)) this.chosen.add(picture);
    this.anchor = picture;
    this.onChange();
  }

  /** Select from the picture that was toggled last to this one, in the order of `pictures`. */
  extend(picture, pictures) {
    const from = Math.max(0, pictures.indexOf(this.anchor ?? picture));
    const to = pictures.indexOf(picture);
    this.anchor ??= picture;
    for (const one of pictures.slice(Math.min(from, to), Math.max(from, to) + 1)) this.chosen.add(one);
    this.onChange();
  }

  /** Select exactly these. */
  set(pictures) {
    this.chosen = new Set(pictures);
    this.anchor = null;
    this.onChange();
  }

  remove(picture) {
    if (this.anchor === picture) this.anchor = null;
    if (this.chosen.delete(picture)) this.onChange();
  }
}
