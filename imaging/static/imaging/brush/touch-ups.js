// Touch-ups in the editor: the buttons that open the brush and that undo what it has done.

import { confirmed } from "../many.js";

/** `onTouched(picture)` is called for each change of a matte, `onError(error)` if the brush cannot be used. */
export class TouchUps {
  constructor({ onTouched, onError }) {
    Object.assign(this, { onTouched, onError, picture: null, session: null });
    this.button = document.getElementById("brush-open");
    this.undo = document.getElementById("brush-undo");
    this.button.addEventListener("click", () => this.open());
    this.undo.addEventListener("click", () => this.undoAll());
  }

  /** Offer what can be done for a picture (null: nothing); `backdrop` is the colour behind it, null for none. */
  show(picture, backdrop) {
    Object.assign(this, { picture, backdrop });
    this.button.disabled = picture?.state !== "done";
    this.undo.hidden = this.button.disabled || picture.touched === null;
  }

  async open() {
    const { picture, backdrop } = this;
    try {
      // Few pictures need the brush: its modules are fetched when it is opened.
      const { Session } = await import("./session.js");
      if (this.session || picture !== this.picture) return;
      this.session = new Session(document.getElementById("brush"), picture, backdrop);
      if (await this.session.run()) this.onTouched(picture);
    } catch (error) {
      this.onError(error);
    }
    this.session = null;
    this.button.focus();
  }

  async undoAll() {
    const { picture } = this;
    const isSure = await confirmed({
      title: gettext("Undo all touch-ups?"),
      text: gettext("The picture is again as the model cut it out. This step cannot be undone."),
      yes: gettext("Undo all touch-ups"),
      no: gettext("Keep them"),
    });
    if (!isSure) return;
    picture.setTouched(null);
    this.onTouched(picture);
    this.button.focus();
  }

  /** A picture is no longer there: close the brush if it is open on it. */
  leave(picture) {
    if (this.session?.picture === picture) this.session.close(false);
  }

  /** Whether these pictures may be cut out again: asks if that would throw touch-ups away. */
  async mayReplace(pictures) {
    const count = pictures.filter(({ touched }) => touched !== null).length;
    if (count === 0) return true;
    const text = ngettext("%(count)s picture has touch-ups. They are lost once it is cut out again.", "%(count)s pictures have touch-ups. They are lost once the pictures are cut out again.", count);
    return confirmed({
      title: gettext("Cut out again?"),
      text: interpolate(text, { count }, true),
      yes: gettext("Cut out again"),
      no: gettext("Keep the touch-ups"),
    });
  }
}
