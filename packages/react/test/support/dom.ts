import { JSDOM } from 'jsdom'

/** Makes this process look like a page to react-dom. Import it before that. */
const { window } = new JSDOM('<!doctype html><body></body>', { url: 'http://localhost/' })
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true })
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true })

export const page: Document = window.document
