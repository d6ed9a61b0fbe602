// The look of <assay-ask>. A page changes it by the custom properties of the first rule.

const dark = `
  --assay-paper: #1b1b19; --assay-text: #eceae5; --assay-soft: #a8a49c; --assay-line: #302f2c;
  --assay-accent: #4fb8ac; --assay-on-accent: #10211f; --assay-sunken: #131312; --assay-bad: #ff9b8f;`

export const styles = `
:host {
  --assay-paper: #ffffff; --assay-text: #1d1c1a; --assay-soft: #625e57; --assay-line: #e5e3de;
  --assay-accent: #0f766e; --assay-on-accent: #ffffff; --assay-sunken: #f4f3f0; --assay-bad: #b42318;
  display: block; color: var(--assay-text); background: var(--assay-paper); border: 1px solid var(--assay-line);
  border-radius: 10px; padding: 1rem; font: 1rem/1.5 ui-sans-serif, system-ui, sans-serif; color-scheme: light;
}
:host([hidden]) { display: none }
:host([theme='dark']) { ${dark} color-scheme: dark }
@media (prefers-color-scheme: dark) { :host(:not([theme='light'])) { ${dark} color-scheme: dark } }
label { display: block; font-weight: 600; margin-block-end: 0.35rem }
.row { display: flex; gap: 0.5rem }
input, button { font: inherit; border-radius: 7px; padding: 0.45rem 0.8rem; min-block-size: 2.5rem }
input { flex: 1; min-inline-size: 0; color: inherit; background: var(--assay-sunken); border: 1px solid var(--assay-soft) }
button { color: var(--assay-on-accent); background: var(--assay-accent); border: 0; font-weight: 600; cursor: pointer }
:focus-visible { outline: 2px solid var(--assay-accent); outline-offset: 2px }
p { margin-block: 0.6rem 0 }
.said:empty { display: none }
.said, .soft { color: var(--assay-soft) }
.soft { font-size: 0.85rem }
.sentence { font-size: 1.1rem; font-weight: 600 }
.scroll { overflow: auto; max-block-size: 22rem; margin-block-start: 0.6rem; border: 1px solid var(--assay-line); border-radius: 7px }
table { border-collapse: collapse; inline-size: 100%; font-size: 0.9rem }
th, td { text-align: start; padding: 0.35rem 0.7rem; border-block-end: 1px solid var(--assay-line); white-space: nowrap }
thead th { position: sticky; inset-block-start: 0; background: var(--assay-sunken) }
.number { text-align: end; font-variant-numeric: tabular-nums }
.sql { overflow: auto; background: var(--assay-sunken); border-radius: 7px; padding: 0.6rem 0.8rem; font-size: 0.85rem; white-space: pre-wrap }
details { margin-block-start: 0.6rem }
summary { cursor: pointer; font-size: 0.85rem; color: var(--assay-soft) }
.problem { margin-block-start: 0.8rem; padding: 0.6rem 0.8rem; border-inline-start: 3px solid var(--assay-bad) }
.problem strong { color: var(--assay-bad) }
`
