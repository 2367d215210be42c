// Controls of the settings: numbers with sliders, lengths of four sides, and controls that have no effect at present.

/** The number in a field; null where it is empty. */
export const numberOf = (field) => (field.value === "" ? null : field.valueAsNumber);

/** Check the radio button of that value, or none of them. A list's own `value` cannot be set to "". */
export function check(radios, value) {
  for (const radio of radios) radio.checked = radio.value === value;
}

const sliderOf = (field) => field.form.querySelector(`[data-for="${field.name}"]`);

/** Put a number into its field and onto its slider; null empties the field, and the slider shows the default. */
export function setNumber(field, value) {
  field.value = value ?? "";
  showOnSlider(field);
}

/** What an empty field stands for. */
export function setDefault(field, value) {
  field.placeholder = field.dataset.default = value;
  if (field.value === "") showOnSlider(field);
}

function showOnSlider(field) {
  const slider = sliderOf(field);
  if (slider) slider.value = field.value === "" ? field.dataset.default : field.value;
}

/** Keep each slider and its number in step. */
export function bindSliders(form) {
  form.addEventListener("input", ({ target }) => {
    if (target.dataset.for) form.elements[target.dataset.for].value = target.value;
    else if (target.type === "number" && target.name) showOnSlider(target);
  }, { capture: true });
}

/** Switch a group of controls off, and say why; null switches it on. */
export function setReason(group, line, reason) {
  group.disabled = reason !== null;
  line.textContent = reason ?? "";
  line.hidden = reason === null;
}

/** Four lengths as [value, unit], from the top clockwise, of a text as the API takes it: one, two or four lengths; null is none. */
export function sidesOf(text) {
  const found = (text ?? "0%").trim().split(/[\s,]+/).map((part) => [Number.parseFloat(part) || 0, part.endsWith("%") ? "%" : "px"]);
  return [0, 1, 2, 3].map((side) => found[{ 1: 0, 2: side % 2, 4: side }[found.length]]);
}

/** Whether all four sides are one length. */
export const isOneLength = (text) => (text ?? "").trim().split(/[\s,]+/).length === 1;

/** The text of four values of one unit; `isOne`: the first stands for all. Null where there is nothing to ask for. */
export function textOfSides(values, unit, isOne) {
  const used = isOne ? values.slice(0, 1) : values;
  return used.some((value) => value) ? used.map((value) => `${value ?? 0}${unit}`).join(" ") : null;
}
