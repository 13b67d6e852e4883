import { isPolyphonyError } from '@polyphony/core'
import type { DocumentHandle, Documents } from '@polyphony/server'

/** The document that the example page opens when its address names none. */
export const welcomeDocumentId = 'welcome'

const text = `# Welcome to the shared page

You, your collegues and an agent are writing in this document, all at once. Open this page in a second window and type in both: the edits merge, and each is stored before anybody else sees it.

## things to try

TODO: Ask the agent with the button beside this text
TODO: Keep typing here while it works
TODO: Stop the server with kill -9, start it again, and find everything still here
DONE: Start the server

## what the agent does

It reads teh document through AG-UI and writes by JSON Patch, anchored to what it saw. It corrects typos, gives headings their capitals, and makes tasks of TODO lines. There is no model behind it, so it will definately do the same tomorrow.
`

const state = {
  text,
  tasks: [{ id: 'invite', title: 'Invite somebody: share the address of this page', done: false }],
}

/** Fills the document that newcomers see, unless somebody was here before. Returns whether it did. */
export async function createWelcomeDocument(documents: Documents): Promise<boolean> {
  const document = await openUnlessDeleted(documents)
  if (document === undefined) return false
  try {
    if (document.revision > 0) return false
    await document.edit({ author: 'polyphony' }, (view) => view.assign(state))
    return true
  } finally {
    document.release()
  }
}

/** A document that was deleted stays so until somebody wants it back. */
async function openUnlessDeleted(documents: Documents): Promise<DocumentHandle | undefined> {
  try {
    return await documents.open(welcomeDocumentId)
  } catch (error) {
    if (isPolyphonyError(error) && error.code === 'document-deleted') return undefined
    throw error
  }
}
