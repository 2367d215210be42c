// Which results a person should look at: those of which the model was not sure.

/** Whether the result is doubtful: its confidence is below `threshold`, and no person has corrected or accepted it. */
export function isDoubtful({ state, confidence, touched, isChecked }, threshold) {
  return state === "done" && confidence !== null && confidence < threshold && touched === null && !isChecked;
}

/** Why, as a sentence. */
export function doubtText({ confidence }) {
  if (confidence === 0) return gettext("The model found no subject in it.");
  const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(confidence);
  return interpolate(gettext("The model is only %(percent)s sure of what belongs to the subject. Check the edges before you use it."), { percent }, true);
}
