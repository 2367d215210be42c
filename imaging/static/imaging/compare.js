// <image-compare>: two images on top of each other and a slider between them.

/** Holds [data-before], [data-after] and an input[type=range]; the slider's value is the percentage that shows "before". */
class ImageCompare extends HTMLElement {
  connectedCallback() {
    this.slider = this.querySelector("input[type=range]");
    this.slider.addEventListener("input", () => this.update());
    this.update();
  }

  set value(percent) {
    this.slider.value = percent;
    this.update();
  }

  update() {
    this.style.setProperty("--split", `${this.slider.value}%`);
  }

  /** Replace the images (image elements or canvases). */
  show(before, after) {
    this.replace("before", before);
    this.replace("after", after);
    const width = after.naturalWidth || after.width;
    const height = after.naturalHeight || after.height;
    this.style.setProperty("--ratio", `${width} / ${height}`);
    this.style.setProperty("--ratio-number", width / height);
  }

  replace(role, picture) {
    const old = this.querySelector(`[data-${role}]`);
    picture.setAttribute(`data-${role}`, "");
    if (old !== picture) old.replaceWith(picture);
  }
}

customElements.define("image-compare", ImageCompare);
