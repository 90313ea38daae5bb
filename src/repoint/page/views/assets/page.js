// Progressive enhancement. The page works without JavaScript: sheets are separate pages, forms are
// sent as forms, and a page with a running job reloads itself.
"use strict";
(() => {
  const QUIET = 20000; // milliseconds between refreshes while somebody uses the page
  const AWAY = 600000; // milliseconds without input until the page stops refreshing, so that the server can stop
  const ended = 4; // XMLHttpRequest.DONE
  // The server stops when nobody uses it, and another account may then take its port. So a page that
  // has had no response for this long sends nothing any more.
  const { lifetime, gone: goneText } = document.documentElement.dataset;
  let answered = Date.now();
  const expired = () => Boolean(lifetime) && Date.now() - answered > Number(lifetime) * 1000;
  let source = null;
  let touched = Date.now();
  let opener = null;

  // XMLHttpRequest parses the document, so this script never turns text into markup.
  const load = (url, body) => new Promise((resolve, reject) => {
    if (expired()) throw new Error("expired");
    const request = new XMLHttpRequest();
    request.open(body ? "POST" : "GET", url);
    request.responseType = "document";
    request.onreadystatechange = () => {
      if (request.readyState !== ended) return;
      if (request.response) answered = Date.now();
      if (request.response) resolve({ page: request.response, url: request.responseURL });
      else reject(new Error("gone"));
    };
    if (body) request.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    request.send(body || null);
  });

  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "sheet-title");
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    focusOn(opener);
  });
  dialog.addEventListener("animationend", () => dialog.classList.remove("no"));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  const focusOn = (selector) => {
    const target = selector && document.querySelector(selector);
    (target || document.getElementById("title"))?.focus({ preventScroll: true });
  };
  const selectorOf = (element) => {
    const form = element.closest("form");
    if (element.getAttribute("href")) return `a[href="${element.getAttribute("href")}"]`;
    return form ? `form[action="${form.getAttribute("action")}"] button` : null;
  };

  const showSheet = (page, refused) => {
    const sheet = page.querySelector(".sheet");
    dialog.replaceChildren(document.importNode(sheet, true));
    if (!dialog.open) dialog.showModal();
    if (refused) dialog.classList.add("no");
    const first = dialog.querySelector("[autofocus]") || dialog.querySelector("h1");
    first.focus();
    countDown();
  };

  // Only the response to its own form closes a sheet: a person may have opened it in the meantime.
  const updatePanel = ({ page, url }, closes) => {
    const now = document.getElementById("panel");
    const next = page.getElementById("panel");
    if (!next) {
      if (page.querySelector("form.sheet")) return showSheet(page, true);
      location.reload();
      return undefined;
    }
    const focused = document.activeElement && now.contains(document.activeElement)
      ? selectorOf(document.activeElement) : null;
    const open = new Set([...now.querySelectorAll("details[open]")].map(textOf));
    now.replaceWith(document.importNode(next, true));
    for (const details of document.querySelectorAll("#panel details")) {
      details.open = open.has(textOf(details));
    }
    if (closes && dialog.open) dialog.close();
    if (focused) focusOn(focused);
    if (url && new URL(url).pathname !== location.pathname) history.pushState(null, "", url);
    watch();
    return undefined;
  };
  const textOf = (details) => details.textContent;

  // Leave nothing that could be sent to whoever owns the port now.
  const gone = () => {
    if (!goneText || document.querySelector(".notice.gone")) return;
    if (source) source.close();
    if (dialog.open) dialog.close();
    const main = document.createElement("main");
    const notice = document.createElement("div");
    notice.className = "notice gone";
    notice.setAttribute("role", "alert");
    notice.textContent = goneText;
    main.append(notice);
    document.body.replaceChildren(main);
    document.querySelector("link[rel=icon]")?.remove(); // it would be loaded again
    history.replaceState(null, "", "/closed");
  };

  const refresh = (after) => load(location.href)
    .then((answer) => updatePanel(answer, false), gone).then(after);

  // Progress while a job runs.
  const watch = () => {
    const panel = document.getElementById("panel");
    if (source || !panel?.dataset.live) return;
    const wasInstall = panel.dataset.kind === "install";
    source = new EventSource(panel.dataset.live);
    source.addEventListener("message", (event) => {
      answered = Date.now();
      const { percent, text } = JSON.parse(event.data);
      const bar = document.getElementById("job-bar");
      const output = document.getElementById("job-text");
      if (bar && percent !== null) bar.value = percent;
      if (output && output.textContent !== text) output.textContent = text;
    });
    const end = () => {
      source.close();
      source = null;
      refresh(() => {
        const staged = document.getElementById("panel")?.dataset.restart;
        if (wasInstall && staged && !source) openSheet(staged, `a[href="${staged}"]`);
      });
    };
    source.addEventListener("end", end);
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) end();
    });
  };

  const openSheet = (url, from) => {
    opener = from;
    return load(url).then(({ page }) => (page.querySelector("form.sheet") ? showSheet(page) : location.reload()), gone);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    if (expired()) {
      event.preventDefault();
      gone();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.hasAttribute("data-close") && dialog.open) {
      event.preventDefault();
      dialog.close();
    } else if (link.hasAttribute("data-sheet")) {
      event.preventDefault();
      openSheet(link.href, selectorOf(link));
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const search = form.method === "get" && !form.hasAttribute("data-sheet");
    if (search || !document.getElementById("panel")) return; // the browser sends it
    event.preventDefault();
    if (form.hasAttribute("data-sheet")) {
      openSheet(form.action, selectorOf(event.submitter || form.querySelector("button")));
      return;
    }
    const button = event.submitter || form.querySelector("button");
    const closes = dialog.contains(form);
    if (button) button.disabled = true;
    load(form.action, new URLSearchParams(new FormData(form)).toString())
      .then((answer) => updatePanel(answer, closes), gone);
  });

  // Count down the wait after wrong passcodes.
  const countDown = () => {
    const wrong = dialog.querySelector("[data-wait]");
    if (!wrong) return;
    const button = dialog.querySelector(".buttons button");
    let left = Number(wrong.dataset.wait);
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0 && wrong.isConnected) return;
      clearInterval(timer);
      if (button) button.disabled = false;
      wrong.remove();
    }, 1000);
  };

  for (const kind of ["pointerdown", "keydown", "focus"]) {
    addEventListener(kind, () => {
      const away = Date.now() - touched > AWAY;
      touched = Date.now();
      if (away && !dialog.open && !source && !expired()) refresh();
    });
  }
  setInterval(() => { if (expired()) gone(); }, 1000);
  setInterval(() => {
    const idle = document.hidden || Date.now() - touched > AWAY;
    if (!idle && !dialog.open && !source && document.getElementById("panel") && lifetime) refresh();
  }, QUIET);
  addEventListener("popstate", () => location.reload());
  watch();
})();
