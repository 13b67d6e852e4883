import type { Greenhouse } from '../greenhouse.ts'
import { make } from './element.ts'

const svg = 'http://www.w3.org/2000/svg'

/** Shows the beds, each with its figures and their course. */
export function renderBeds(container: HTMLElement, { beds, limit }: Greenhouse): void {
  container.replaceChildren(
    ...Object.entries(beds)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { name, celsius, humidity, trend }]) => {
        const card = make('article', celsius > limit ? 'bed warm' : 'bed')
        card.dataset['bed'] = id
        const figure = make('div', 'figure', celsius.toFixed(1))
        figure.append(make('small', '', ' °C'))
        card.append(make('h3', '', name), figure, make('div', 'damp', `${humidity} % humidity`))
        card.append(courseOf(trend, limit))
        return card
      }),
  )
}

function courseOf(trend: readonly number[], limit: number): SVGElement {
  const low = Math.min(limit, ...trend) - 1
  const high = Math.max(limit, ...trend) + 1
  const y = (celsius: number): number => 100 - ((celsius - low) / (high - low)) * 100
  const chart = document.createElementNS(svg, 'svg')
  chart.setAttribute('viewBox', '0 0 100 100')
  chart.setAttribute('preserveAspectRatio', 'none')
  chart.setAttribute('aria-hidden', 'true')
  const mark = document.createElementNS(svg, 'line')
  for (const [name, value] of Object.entries({ x1: 0, x2: 100, y1: y(limit), y2: y(limit) }))
    mark.setAttribute(name, String(value))
  const line = document.createElementNS(svg, 'polyline')
  const step = 100 / Math.max(1, trend.length - 1)
  line.setAttribute('points', trend.map((celsius, index) => `${index * step},${y(celsius)}`).join(' '))
  chart.append(mark, line)
  return chart
}
