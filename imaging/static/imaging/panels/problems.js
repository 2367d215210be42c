// What is wrong with the settings, said next to the control.

import { number } from "../messages.js";

/** The problems of single numbers: pairs of a control and a sentence. */
export function rangeProblems(form) {
  const isWrong = (field) => field.willValidate && !field.validity.valid && !field.closest("[hidden]");
  return [...form.querySelectorAll("input[type=number]")].filter(isWrong).map((field) => [field, rangeText(field)]);
}

function rangeText(field) {
  if (["w", "h"].includes(field.name || field.dataset.row)) return gettext("A side is a whole number of pixels from 1 to 10,000.");
  if (field.name === "angle") return gettext("The angle is a number from −360 to 360.");
  const range = { min: number(Number(field.min)), max: number(Number(field.max)) };
  const text = field.step === "1" ? gettext("This is a whole number from %(min)s to %(max)s.") : gettext("This is a number from %(min)s to %(max)s.");
  return interpolate(text, range, true);
}

/** Show each control's first problem below it, and take away what is solved. */
export function complain(form, problems) {
  const texts = new Map([...problems].reverse());
  for (const field of form.querySelectorAll("[aria-invalid=true]")) if (!texts.has(field)) clear(field);
  for (const [field, text] of texts) say(field, text);
}

function say(field, text) {
  field.setAttribute("aria-invalid", "true");
  let line = lineOf(field);
  if (!line) {
    line = document.createElement("p");
    Object.assign(line, { className: "errorlist", id: `problem-${crypto.getRandomValues(new Uint32Array(1))[0]}` });
    line.setAttribute("role", "alert");
    field.dataset.problem = line.id;
    field.dataset.described = field.getAttribute("aria-describedby") ?? "";
    field.setAttribute("aria-describedby", `${field.dataset.described} ${line.id}`.trim());
    field.closest(".control").after(line);
  }
  if (line.textContent !== text) line.textContent = text;
}

const lineOf = (field) => (field.dataset.problem ? document.getElementById(field.dataset.problem) : null);

function clear(field) {
  lineOf(field)?.remove();
  field.removeAttribute("aria-invalid");
  if (field.dataset.described) field.setAttribute("aria-describedby", field.dataset.described);
  else field.removeAttribute("aria-describedby");
  delete field.dataset.problem;
}
