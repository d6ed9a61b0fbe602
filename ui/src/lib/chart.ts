// Draws a Vega-Lite specification without eval and without ever asking another host. Loaded only when a chart is shown.

import { expressionInterpreter } from 'vega-interpreter'
import { parse, View, type Loader } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { strings } from './strings'
import type { Cell } from './types'

export interface Drawing {
  svg: () => Promise<string>
  png: () => Promise<Blob>
  remove: () => void
}

// Specifications come from the server and need no file, image or link; whatever asks for one is refused.
const refuse = () => Promise.reject(new Error(strings.chart.loadsNothing))
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse, options: {} } as unknown as Loader

export async function draw(
  element: HTMLElement,
  spec: Record<string, unknown>,
  rows: Cell[][],
  description: string,
): Promise<Drawing> {
  const values = rows.map((row) => Object.fromEntries(row.map((cell, at) => [`c${at}`, typeof cell === 'bigint' ? Number(cell) : cell])))
  const complete = {
    width: Math.max(200, element.clientWidth),
    height: 280,
    autosize: { type: 'fit', contains: 'padding' },
    ...spec,
    datasets: { rows: values },
  } as unknown as TopLevelSpec
  const compiled = compile(complete, { config: look(element) })
  const view = new View(parse(compiled.spec, undefined, { ast: true }), {
    renderer: 'svg',
    expr: expressionInterpreter,
    loader,
    container: element,
    hover: true,
  })
  view.description(description)
  await view.runAsync()
  return {
    svg: () => view.toSVG(),
    png: async () => {
      const canvas = (await view.toCanvas(2)) as unknown as HTMLCanvasElement
      return new Promise((resolve, reject) =>
        canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(strings.chart.noPicture)))),
      )
    },
    remove: () => view.finalize(),
  }
}

/** The chart's colours and letters, taken from the page's own tokens. */
function look(element: HTMLElement): Record<string, unknown> {
  const style = getComputedStyle(element)
  const token = (name: string) => style.getPropertyValue(name).trim()
  const [text, soft, line, accent] = [token('--text'), token('--text-soft'), token('--line'), token('--chart-1')]
  const font = style.fontFamily
  return {
    font,
    // The ground that the letters are chosen for: a picture that is saved takes it along.
    background: token('--surface'),
    view: { stroke: null },
    mark: { tooltip: true, color: accent },
    line: { strokeWidth: 2.2, strokeCap: 'round', strokeJoin: 'round' },
    area: { fillOpacity: 0.28, line: { color: accent, strokeWidth: 2 } },
    bar: { cornerRadiusEnd: 3 },
    point: { filled: true, size: 42, opacity: 0.75 },
    arc: { stroke: token('--surface'), strokeWidth: 2 },
    range: { category: [1, 2, 3, 4, 5, 6].map((at) => token(`--chart-${at}`)) },
    title: { color: text, fontSize: 13, fontWeight: 600, anchor: 'start', offset: 12 },
    axis: {
      labelColor: soft,
      titleColor: soft,
      labelFontSize: 11,
      titleFontSize: 11,
      titleFontWeight: 500,
      gridColor: line,
      domainColor: line,
      tickColor: line,
      labelPadding: 6,
      titlePadding: 10,
      labelLimit: 150,
    },
    axisX: { grid: false },
    axisY: { domain: false, ticks: false },
    legend: { labelColor: text, titleColor: soft, labelFontSize: 11, titleFontSize: 11, titleFontWeight: 500, symbolType: 'circle' },
    header: { labelColor: text, titleColor: soft },
  }
}
