// Returns what is wrong with how a page is laid out: on the "screen", in "print", or with "no scripts".
(medium) => {
  const found = [];
  const name = (element) => element.outerHTML.slice(0, element.outerHTML.indexOf(">") + 1).slice(0, 160);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const widest = [...document.body.querySelectorAll("*")]
      .filter((each) => isShown(each) && each.getBoundingClientRect().right > root.clientWidth + 1)
      .slice(0, 3).map(name);
    found.push(`wider than the window (${root.scrollWidth} px): ${widest.join(" ")}`);
  }

  // What is cut off cannot be scrolled to. Names for screen readers are one pixel wide.
  for (const each of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(each);
    const clips = ["hidden", "clip"].includes(style.overflowX) || (medium === "print" && style.overflowX !== "visible");
    const isText = style.textOverflow === "ellipsis" || ["svg", "SVG", "INPUT", "TEXTAREA", "SELECT"].includes(each.tagName);
    if (clips && !isText && each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1 && isShown(each)) {
      found.push(`cut off: ${name(each)}`);
    }
  }

  // Text whose first letter is of a right-to-left script begins at the right, wherever people have entered it.
  const isRightToLeft = (text) => /^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}]/u.test(text);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const holder = node.parentElement;
    if (isRightToLeft(node.data) && isShown(holder) && getComputedStyle(holder).unicodeBidi !== "plaintext") {
      found.push(`right-to-left text at the left: ${name(holder)}`);
    }
  }

  const actions = document.querySelector(".record-form > .form-foot");
  if (root.scrollHeight > 3000 && medium !== "print" && actions && getComputedStyle(actions).position !== "sticky") {
    found.push("a long form whose buttons are out of sight");
  }

  if (medium === "print") {
    for (const each of document.querySelectorAll(".topbar, .navigator, .crumbs, .skip-link, .pages, .btn, [role=search]")) {
      if (isShown(each)) found.push(`of no use on paper: ${name(each)}`);
    }
  }
  if (medium === "no scripts") {
    const controls = "button[type=button], input:not([form], form *), select:not([form], form *), a[href='#']";
    for (const each of document.querySelectorAll(controls)) if (isShown(each)) found.push(`does nothing: ${name(each)}`);
  }
  return [...new Set(found)];
};
