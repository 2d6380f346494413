// Searches and copies. Without it the page is whole.
"use strict";
const form = document.getElementById("search");
const query = document.getElementById("query");
const found = document.getElementById("found");
const operations = [...document.querySelectorAll(".operation")].map((element) => ({
  element,
  text: element.querySelector("summary").textContent.toLowerCase() + " " +
    [...element.querySelectorAll("dt code, .errors code")].map((code) => code.textContent.toLowerCase()).join(" "),
}));
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { element, text } of operations) {
    element.hidden = !words.every((word) => text.includes(word));
    count += element.hidden ? 0 : 1;
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector(".operation:not([hidden])");
  }
  found.textContent = words.length ? `${count} found` : "";
});
for (const command of document.querySelectorAll(".command")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const text = command.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(command.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  command.append(button);
}
const open = () => {
  const element = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (element && element.classList.contains("operation")) { element.open = true; element.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
