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
/* Command lines and programs. Where the clipboard is closed to the page, the text is selected instead. */
for (const block of all("code.cmd, pre.program")) {
    const button = document.createElement("button");
    const select = () => {
        getSelection().selectAllChildren(block);
        button.textContent = "selected";
    };
    button.textContent = "copy";
    button.className = "copy";
    button.addEventListener("click", () => {
        if (!navigator.clipboard)
            return select();
        navigator.clipboard.writeText(block.textContent.trim()).then(() => { button.textContent = "copied"; }, select);
    });
    block.after(button);
}
