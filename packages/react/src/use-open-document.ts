import { openDocument, type OpenDocumentOptions, type PolyphonyDocument } from '@polyphony/client'
import { useEffect, useRef, useState } from 'react'

/**
 * Opens a document for as long as the component is there; undefined for the first render and on servers. Opens another one
 * when `url`, `documentId` or `principal` change; of the other options the newest count when that happens.
 */
export function useOpenDocument(options: OpenDocumentOptions): PolyphonyDocument | undefined {
  const { url, documentId, principal } = options
  const [document, setDocument] = useState<PolyphonyDocument | undefined>(undefined)
  const newest = useRef(options)
  useEffect(() => {
    newest.current = options
  })
  useEffect(() => {
    const opened = openDocument({ ...newest.current, url, documentId, principal })
    setDocument(opened)
    return () => {
      setDocument(undefined)
      opened.close().catch((error: unknown) => {
        newest.current.logger?.error({ documentId, error: String(error) }, 'a document did not close')
      })
    }
  }, [url, documentId, principal])
  return document
}
