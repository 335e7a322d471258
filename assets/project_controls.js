// A project's buttons, and on its card what is read above them. One element of the page: what
// changes is set in place, so the focus, an open menu and the scroll stay where they are.
export default {
  template: `
    <component :is="tag" :class="{ alert }">
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
          :aria-label="rest ? [head + rest + tail, note].join(' ').trim() : null" :aria-busy="busy || null" :aria-disabled="busy || null" @click="press(act, $event)"
        ><span>{{ head }}<span v-if="rest" class="rest">{{ rest }}</span>{{ tail }}</span><span
          v-if="note" class="n" data-testid="ready-count">{{ note }}</span></button>
      </div>
      <div class="more">
        <button
          type="button" class="btn ico small bare" data-testid="card-menu" aria-haspopup="true"
          :aria-label="about" @click="press('card-menu', $event)"
        >⋯</button>
        <slot></slot>
      </div>
    </component>`,
  props: {
    tag: { type: String, default: "article" },
    name: String,
    path: String,
    facts: String, // escaped and cleaned by the server
    alert: Boolean,
    notice: String,
    presses: { type: Array, default: () => [] },
    about: String,
  },
  emits: ["press"],
  methods: {
    press(act, event) {
      if (event.detail < 2) this.$emit("press", act); // the second click of a double one says nothing new
    },
  },
  beforeUpdate() {
    this.hadFocus = this.$el.contains(document.activeElement);
  },
  updated() {
    // a button that went away with the focus hands it on
    if (this.hadFocus && !this.$el.contains(document.activeElement))
      this.$el.querySelector("button")?.focus({ preventScroll: true });
  },
};
