// A project's buttons and, on a card or in a row, the content before them. One element, updated
// in place, so that focus, an open menu and scroll positions survive.
let left = null; // the project and button that had the focus when a card left its section

export default {
  template: `
    <component :is="tag" :class="{ alert, compact }">
      <div class="cells" :data-testid="compact ? 'project-row' : null">
        <a v-if="name" class="name" :href="path" :title="name">{{ name }}</a>
        <div v-if="facts" class="facts" v-html="facts"></div>
        <div v-if="notice" class="notice" data-testid="sandbox-notice">
          <span>{{ notice + " " }}</span>
          <button type="button" class="btn small bare" data-testid="sandbox-undo" @click="press('sandbox-undo', $event)">Undo</button>
          <button type="button" class="btn ico small bare" data-testid="sandbox-dismiss" aria-label="Dismiss" @click="press('sandbox-dismiss', $event)">×</button>
        </div>
        <div v-if="presses.length" class="acts">
          <button
            v-for="[act, head, rest, tail, note, tone, busy] of presses"
            :key="act" type="button" :class="['btn', act, tone]" :data-testid="act"
            :aria-pressed="act === 'auto-toggle' && !busy ? String(tail.endsWith('On')) : null"
            :aria-label="rest ? [head + rest + tail, note].join(' ').trim() : null" :aria-busy="busy || null" :aria-disabled="busy || null" @click="press(act, $event)"
          ><span>{{ head }}<span v-if="rest" class="rest">{{ rest }}</span>{{ tail }}</span><span
            v-if="note" class="n" data-testid="ready-count">{{ note }}</span></button>
        </div>
        <div class="more">
          <button
            type="button" class="btn ico small bare" data-testid="card-menu" aria-haspopup="true"
            :aria-label="about" @click="press('card-menu', $event)"
          ><i class="i i-ellipsis" aria-hidden="true"></i></button>
          <slot></slot>
        </div>
      </div>
    </component>`,
  props: {
    tag: { type: String, default: "article" },
    name: String,
    path: String,
    facts: String, // HTML, escaped and sanitized by the server
    alert: Boolean,
    compact: Boolean, // a row of the list instead of a card
    notice: String,
    presses: { type: Array, default: () => [] },
    about: String,
  },
  emits: ["press"],
  methods: {
    press(act, event) {
      if (event.detail < 2) this.$emit("press", act); // ignore the second click of a double click
    },
  },
  mounted() {
    // a card that moves to another section is made anew there
    if (left?.project !== this.$attrs["data-project"] || document.activeElement !== document.body) return;
    const buttons = [...this.$el.querySelectorAll("a,button")];
    const same = buttons.find((one) => (one.dataset.testid ?? one.className) === left.mark);
    (same ?? buttons.find((one) => one.tagName === "BUTTON"))?.focus({ preventScroll: true });
    left = null;
  },
  beforeUnmount() {
    const focused = document.activeElement;
    if (this.$el.contains(focused))
      left = { project: this.$attrs["data-project"], mark: focused.dataset.testid ?? focused.className };
  },
  beforeUpdate() {
    this.hadFocus = this.$el.contains(document.activeElement);
  },
  updated() {
    // the focused button was removed: focus the first one
    if (this.hadFocus && !this.$el.contains(document.activeElement))
      this.$el.querySelector("button")?.focus({ preventScroll: true });
  },
};
