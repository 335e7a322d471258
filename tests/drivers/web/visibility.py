"""Visibility and accessibility checks: hidden, faint and small things, fonts, axe-core."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# rules that fail whatever their impact; `target-size` checks the 24 px of WCAG 2.2
RULES = {"landmark-one-main", "landmark-no-duplicate-main", "link-in-text-block", "target-size"}
# rules of axe-core whose findings are never serious: only looked for in vain
MILD = (
    *("aria-allowed-role", "aria-deprecated-role", "empty-heading", "empty-table-header"),
    *("form-field-multiple-labels", "heading-order", "image-redundant-alt", "landmark-unique"),
    *("landmark-banner-is-top-level", "landmark-complementary-is-top-level"),
    *("landmark-contentinfo-is-top-level", "landmark-main-is-top-level"),
    *("landmark-no-duplicate-banner", "landmark-no-duplicate-contentinfo"),
    *("page-has-heading-one", "presentation-role-conflict", "region", "scope-attr-valid"),
    *("skip-link", "table-duplicate-name"),
)
# no style sheet is read for rules that are off; only violations are described
COMMON = {"resultTypes": ["violations"], "preload": False}
OPTIONS = COMMON | {
    "rules": {"target-size": {"enabled": True}} | {name: {"enabled": False} for name in MILD}
}
# the rules whose findings depend on the window's width, or on colors (beside `flaws`)
OF_LOOKS = COMMON | {
    "runOnly": {
        "type": "rule",
        "values": [
            *("link-in-text-block", "target-size", "button-name", "link-name"),
            *("aria-hidden-focus", "scrollable-region-focusable"),
        ],
    },
}
_HAS_AXE = "() => 'axe' in window"
_RUN = """([within, options]) =>
  axe.run(within ?? document, options).then((done) => done.violations)"""

# Closed elements and text for screen readers only are skipped. Other text must be inside the window
# (or in a box with horizontal scroll that is inside it), opaque, painted, and on top of everything
# else at its place once scrolled into view.
_UNSEEN = """async () => {
  const CLOSED = "[hidden], .hidden, .sr, .skip, noscript, details:not([open]) > :not(summary), " +
    "[popover]:not(:popover-open), script, style"
  // panels of tabs that are not chosen
  const PUT_AWAY = ".panel, .two > .left, .inbox .pane"
  const found = [], room = document.documentElement.clientWidth
  const next = () => new Promise((done) => requestAnimationFrame(done))
  const name = (e) => `${e.tagName.toLowerCase()}${e.className ? "." + e.className : ""} ` +
    `“${e.textContent.trim().slice(0, 50)}”`
  const ancestors = (e) => e ? [e, ...ancestors(e.parentElement)] : []
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX)
  // the lines of the words themselves, not of a box that may be wider
  const lines = (e) => {
    const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT)
    const range = document.createRange()
    for (let node; (node = walker.nextNode()); ) {
      const from = node.data.search(/\\S/)
      if (from < 0 || node.parentElement.closest(CLOSED)) continue
      range.setStart(node, from)
      range.setEnd(node, Math.min(node.length, from + 12))
      return [...range.getClientRects()].filter((r) => r.width > 0 && r.height > 0)
    }
    return null
  }
  const outside = (e) => {
    const box = e.getBoundingClientRect()
    if (box.left >= -1 && box.right <= room + 1) return false
    return !ancestors(e.parentElement).some((a) => {
      const r = a.getBoundingClientRect()
      return scrolls(a) && r.left >= -1 && r.right <= room + 1
    })
  }
  const covered = (e, style) => {
    const first = lines(e)
    if (!first?.length) return "without a line of its words"
    const {left, top, width, height} = first[0]
    const hit = document.elementFromPoint(left + Math.min(width / 2, 6), top + height / 2)
    if (!hit) return "outside the window after scrolling to it"
    const same = e.contains(hit) || (hit.contains(e) && style.pointerEvents === "none")
    // a row whose link is stretched over it is that link's, and seen through it
    const through = hit.matches("a.whole, a.whole *") && hit.closest(".tr")?.contains(e)
    return same || through ? null : `covered by ${name(hit)}`
  }
  const problem = async (e) => {
    const away = e.closest(PUT_AWAY)
    if (away && getComputedStyle(away).display === "none") return null
    if (!e.checkVisibility()) return "not displayed"
    if (lines(e) === null) return null
    const all = ancestors(e).map((a) => getComputedStyle(a))
    if (all[0].visibility !== "visible") return "not visible"
    if (all.reduce((o, s) => o * parseFloat(s.opacity), 1) < 0.3) return "transparent"
    if (outside(e)) return "outside the window"
    // of what is higher than the window its first line is looked at, below what sticks to the top
    const isHigh = e.getBoundingClientRect().height > innerHeight / 2
    e.scrollIntoView({block: isHigh ? "start" : "center", inline: "nearest"})
    if (isHigh) window.scrollBy(0, -100)
    // most is in place at once; what is not may be after the next frames
    if (!covered(e, all[0])) return null
    await next()
    await next()
    return covered(e, all[0])
  }
  for (const e of document.querySelectorAll("h1, h2, h3, h4, h5, h6, p, li")) {
    if (e.closest(CLOSED) || !e.textContent.trim()) continue
    const said = await problem(e)
    if (said) found.push(`${name(e)}: ${said}`)
  }
  window.scrollTo(0, 0)
  return found
}"""


# Exempt: links in a sentence, which are as high as its line, links stretched over their row, and
# boxes whose label is high enough. A finger needs 44 px of a button.
_SMALL = """() => {
  const found = [], isTouched = matchMedia("(pointer: coarse)").matches
  const PRESSED = "a[href], button, summary, [role=tab], [role=button]"
  const inSentence = (e) => getComputedStyle(e).display === "inline" &&
    [...e.parentElement.childNodes].some((n) => n.nodeType === 3 && /\\w{2}/.test(n.data))
  for (const e of document.querySelectorAll(PRESSED)) {
    if (!e.checkVisibility() || e.closest("[hidden], .skip") || inSentence(e)) continue
    const {width, height} = e.getBoundingClientRect()
    if (!width || !height || getComputedStyle(e, "::after").position === "absolute") continue
    const least = isTouched && e.matches("main :is(button, .btn, summary, [role=tab])") ? 44 : 24
    if (least === 44 && e.closest("label")?.getBoundingClientRect().height >= 44) continue
    if (width < 23.5 || height < least - 0.5)
      found.push(`${e.outerHTML.slice(0, 120)}: ${width.toFixed(1)} × ${height.toFixed(1)}`)
  }
  return found
}"""


# the contrast of texts with what is behind them
_FAINT = """() => {
    const light = (c) => {
        const v = c.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
            .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
    };
    const ground = (el) => {
        for (let at = el; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = [];
    for (const el of document.querySelectorAll(".shell *")) {
        const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !el.checkVisibility() || el.closest(".disabled")) continue;
        const [a, b] = [light(getComputedStyle(el).color), light(ground(el))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) faint.push(`${el.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return faint;
}"""


# the controls of a filter bar stand on one line on a desk, and what is in them on their middle
_CROOKED = """() => {
  const found = [], isWide = innerWidth >= 1280
  const middle = (e) => { const r = e.getBoundingClientRect(); return r.top + r.height / 2 }
  for (const bar of document.querySelectorAll(".filter-bar")) {
    const parts = [...bar.querySelectorAll(":scope label.q-field, :scope button, :scope .seg2")]
      .filter((e) => e.checkVisibility() && !e.closest(".hidden, .menu") && !e.matches(".seg2 *"))
    for (const part of parts) {
      if (isWide && Math.abs(middle(part) - middle(parts[0])) > 1)
        found.push(`“${part.textContent.trim()}” is not on the line of its filter bar`)
      for (const e of part.querySelectorAll(".i, kbd"))
        if (e.checkVisibility() && Math.abs(middle(e) - middle(part)) > 1.5)
          found.push(`${e.outerHTML.slice(0, 60)} is not on the middle of its control`)
    }
  }
  return found
}"""


# words that are cut off without the sign of it: an ellipsis does not work in a flex box
_CUT = """() => [...document.querySelectorAll(".shell *")].filter((e) => {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
  if (!own || e.scrollWidth <= e.clientWidth + 1 || e.clientWidth <= 2) return false
  const style = getComputedStyle(e)
  if (!/hidden|clip/.test(style.overflowX) || style.webkitLineClamp !== "none") return false
  return style.textOverflow !== "ellipsis" || /flex|grid/.test(style.display)
}).map((e) => `${e.outerHTML.slice(0, 120)} is cut off without an ellipsis`)"""


# words that lie below a button placed over its row or card
_COVERED = """() => {
  const found = [], seen = {opacityProperty: true, visibilityProperty: true}
  for (const button of document.querySelectorAll("main .btn")) {
    if (getComputedStyle(button).position !== "absolute" || !button.checkVisibility(seen)) continue
    const over = button.getBoundingClientRect()
    const walker = document.createTreeWalker(button.parentElement, NodeFilter.SHOW_TEXT)
    const range = document.createRange()
    for (let node; (node = walker.nextNode()); ) {
      const e = node.parentElement
      if (button.contains(e) || !node.data.trim() || !e.checkVisibility(seen)) continue
      range.selectNodeContents(node)
      const right = e.getBoundingClientRect().right
      for (const r of range.getClientRects())
        if (r.left < over.right - 1 && Math.min(r.right, right) > over.left + 1 &&
            r.top < over.bottom - 1 && r.bottom > over.top + 1)
          found.push(`“${node.data.slice(0, 40)}” lies below “${button.textContent.trim()}”`)
    }
  }
  return found
}"""


# one call, as each takes as long as its check
_CHECKS = ", ".join(f"({check})()" for check in (_SMALL, _FAINT, _CROOKED, _CUT, _COVERED))
_FLAWS = f"async () => [await ({_UNSEEN})(), {_CHECKS}].flat()"


def flaws(page: Page, width: int) -> list[str]:
    """List what cannot be seen, pressed or read in a window of this width, each with the cause.

    Headings, paragraphs and list items that cannot be seen; links and buttons lower or narrower
    than 24 px (44 px for a finger), with their sizes; texts with less than 4.5 : 1 of contrast,
    with their ratio; filter bars out of line; words cut off without a sign, or below a button.
    """
    return [f"{page.url} at {width} px: {each}" for each in page.evaluate(_FLAWS)]


_FONTS = """async () => {
  await document.fonts.ready
  return [...document.fonts].filter((f) => f.status === "loaded").map((f) => f.family)
}"""


def fonts_loaded(page: Page) -> set[str]:
    """Return the families of the web fonts that the page has loaded."""
    return {family.strip('"') for family in page.evaluate(_FONTS)}


def barriers(page: Page, *, of_look: bool = False, within: str | None = None) -> list[str]:
    """List serious and critical axe-core violations, and any of RULES, with their elements.

    `of_look`: only those that depend on width, on a page that was checked whole in another look.
    `within`: only in the part of the page that this selector finds.
    `flaws` checks the contrast in all of them.
    """
    if not page.evaluate(_HAS_AXE):
        page.evaluate(AXE_SCRIPT)
    return [
        f"{page.url} {each['id']}: {[node['html'][:160] for node in each['nodes'][:4]]}"
        for each in page.evaluate(_RUN, [within, OF_LOOKS if of_look else OPTIONS])
        if each["impact"] in ("serious", "critical") or each["id"] in RULES
    ]
