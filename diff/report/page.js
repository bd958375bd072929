"use strict";
/* Comfort only: the page says everything without it. */
const all = (selector) => Array.from(document.querySelectorAll(selector));
const list = document.getElementById("difference-list");
if (list) {
    const tools = document.createElement("div");
    const search = document.createElement("input");
    tools.className = "tools";
    search.type = "search";
    search.placeholder = "filter: a leaf, an MSR, a feature, a flag set, a rule";
    search.setAttribute("aria-label", "filter the differences");
    search.addEventListener("input", () => {
        const words = search.value.toLowerCase().split(/\s+/);
        for (const card of all("#difference-list .diff"))
            card.hidden = !words.every((word) => card.textContent.toLowerCase().includes(word));
    });
    tools.append(search);
    list.before(tools);
}
for (const command of all("code.cmd")) {
    const button = document.createElement("button");
    button.textContent = "copy";
    button.addEventListener("click", () => {
        navigator.clipboard.writeText(command.textContent).then(() => { button.textContent = "copied"; });
    });
    command.after(button);
}
