// The sections whose controls are the options: shadow, angle, edges, format, model.

import { check, numberOf, setDefault, setNumber, setReason } from "./fields.js";
import { Panel } from "./panel.js";

const byId = (id) => document.getElementById(id);
// What the server takes where nothing is asked for, in per cent; blur and offset are of the subject's longer side.
const SHADOWS = { drop: { opacity: 45, blur: 2.5, x: 1, y: 2.5 }, contact: { opacity: 70, blur: 5, x: 0, y: 0 } };
const QUALITIES = { jpeg: 90, webp: 85 };
const WITH_DPI = ["png", "jpeg"];

export class ShadowPanel extends Panel {
  constructor(form) {
    super(form, "shadow", ["shadow", "shadow_opacity", "shadow_color", "shadow_blur", "shadow_offset"]);
  }

  read() {
    const { shadow, shadow_opacity, shadow_color, shadow_blur, shadow_x, shadow_y } = this.fields;
    const kind = shadow.value;
    const nothing = { shadow: kind, shadow_opacity: null, shadow_color: null, shadow_blur: null, shadow_offset: null };
    if (kind === "none") return nothing;
    const [blur, x, y] = [shadow_blur, shadow_x, shadow_y].map(numberOf);
    const isMoved = x !== null || y !== null;
    return {
      shadow: kind,
      shadow_opacity: numberOf(shadow_opacity),
      shadow_color: shadow_color.value === "#000000" ? null : shadow_color.value,
      shadow_blur: blur === null ? null : `${blur}%`,
      shadow_offset: isMoved ? `${x ?? SHADOWS[kind].x}% ${y ?? SHADOWS[kind].y}%` : null,
    };
  }

  write({ shadow, shadow_opacity, shadow_color, shadow_blur, shadow_offset }) {
    const [x, y] = shadow_offset?.split(" ").map(Number.parseFloat) ?? [null, null];
    const { fields } = this;
    check(fields.shadow, shadow);
    fields.shadow_color.value = shadow_color ?? "#000000";
    setNumber(fields.shadow_opacity, shadow_opacity);
    setNumber(fields.shadow_blur, shadow_blur === null ? null : Number.parseFloat(shadow_blur));
    setNumber(fields.shadow_x, x);
    setNumber(fields.shadow_y, y);
  }

  refresh({ mask }) {
    const { shadow, shadow_opacity, shadow_blur, shadow_x, shadow_y } = this.fields;
    const usual = SHADOWS[shadow.value];
    byId("shadow-more").hidden = !usual || mask;
    setReason(byId("shadows"), byId("shadow-reason"), mask ? gettext("A mask has no shadow.") : null);
    if (!usual) return;
    setDefault(shadow_opacity, usual.opacity);
    setDefault(shadow_blur, usual.blur);
    setDefault(shadow_x, usual.x);
    setDefault(shadow_y, usual.y);
  }
}

export class AnglePanel extends Panel {
  constructor(form) {
    super(form, "angle", ["angle", "expand"]);
  }

  read() {
    return { angle: numberOf(this.fields.angle) ?? 0, expand: this.fields.expand.checked };
  }

  write({ angle, expand }) {
    setNumber(this.fields.angle, angle);
    this.fields.expand.checked = expand;
  }

  refresh() {}
}

export class EdgesPanel extends Panel {
  constructor(form) {
    super(form, "edges", ["decontaminate", "mask"]);
  }

  read() {
    return { decontaminate: this.fields.decontaminate.checked, mask: this.fields.mask.checked };
  }

  write({ decontaminate, mask }) {
    this.fields.decontaminate.checked = decontaminate;
    this.fields.mask.checked = mask;
  }

  refresh({ mask }) {
    // A mask has no colours.
    this.fields.decontaminate.disabled = mask;
  }
}

export class FormatPanel extends Panel {
  constructor(form) {
    super(form, "format", ["format", "quality", "dpi"]);
  }

  read() {
    const { format, quality, dpi } = this.fields;
    return {
      format: format.value,
      quality: format.value in QUALITIES ? numberOf(quality) : null,
      dpi: WITH_DPI.includes(format.value) ? numberOf(dpi) : null,
    };
  }

  write({ format, quality, dpi }) {
    check(this.fields.format, format);
    setNumber(this.fields.quality, quality);
    this.fields.dpi.value = dpi ?? "";
  }

  refresh({ format }) {
    const hasQuality = format in QUALITIES;
    if (hasQuality) setDefault(this.fields.quality, QUALITIES[format]);
    setReason(byId("qualities"), byId("quality-reason"), hasQuality ? null : gettext("This format keeps every pixel as it is: it has no quality to choose."));
    setReason(this.fields.dpi, byId("dpi-reason"), WITH_DPI.includes(format) ? null : gettext("Only PNG and JPEG can carry a resolution."));
  }
}

export class ModelPanel extends Panel {
  constructor(form) {
    super(form, "model", ["model", "detail"]);
  }

  read() {
    // There is a choice only where more than one model is served; "" is the default.
    return { model: this.fields.model?.value ?? "", detail: this.fields.detail.value };
  }

  write({ model, detail }) {
    if (this.fields.model) this.fields.model.value = model;
    this.fields.detail.value = detail;
  }

  refresh() {}
}
