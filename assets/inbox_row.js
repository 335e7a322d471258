// A row of the inbox. One element, updated in place, so that focus and selection survive; the box
// that picks a change and the button of its main action come from the server as slots.
export default {
  template: `
    <div>
      <div class="lead" role="gridcell"><div><i :class="['st', mark]" aria-hidden="true"></i></div><slot name="pick"></slot></div>
      <div class="what" role="gridcell">
        <a class="nicegui-link t1 clip" :href="url" target="_self">{{ name }}</a>
        <div class="t2" v-html="meta"></div>
        <div v-if="why" v-html="why"></div>
      </div>
      <div class="end" role="gridcell">
        <div class="when" v-html="age"></div>
        <span v-if="busy" class="busy">{{ busy }}</span>
        <slot></slot>
      </div>
    </div>`,
  props: {
    mark: String,
    url: String,
    name: String,
    meta: String, // this and the next two: HTML, escaped and sanitized by the server
    why: String,
    age: String,
    busy: String,
  },
};
