import type { PostgresDatabase } from './postgres-database.ts'

/** The tables of one schema, as they are written in statements. */
export interface PostgresTables {
  readonly schema: string
  readonly documents: string
  readonly entries: string
  readonly states: string
  readonly chunks: string
  readonly garbage: string
}

export function tablesOf(schema: string): PostgresTables {
  const table = (name: string): string => `"${schema}".${name}`
  return {
    schema,
    documents: table('documents'),
    entries: table('entries'),
    states: table('states'),
    chunks: table('chunks'),
    garbage: table('garbage'),
  }
}

/**
 * Each step is run once, in order, and never changed afterwards; a change of the tables is a new step.
 *
 * A document's entries are kept under its key, which is new whenever the document is deleted, so that what is left of an
 * earlier life is garbage that can be removed at leisure.
 */
function steps({ documents, entries, states, chunks, garbage }: PostgresTables): readonly string[] {
  return [
    `CREATE TABLE ${documents} (
       id text COLLATE "C" PRIMARY KEY,
       key bigint GENERATED ALWAYS AS IDENTITY,
       incarnation text NOT NULL,
       continues text,
       revision bigint NOT NULL DEFAULT 0,
       first bigint NOT NULL DEFAULT 1,
       end_offset bigint NOT NULL DEFAULT 0,
       mark text,
       deleted_at_ms bigint,
       state text,
       state_revision bigint,
       state_bytes bigint,
       state_end bigint
     ) WITH (fillfactor = 50);
     CREATE TABLE ${entries} (
       document bigint,
       revision bigint,
       start_offset bigint NOT NULL,
       mark text NOT NULL,
       record bytea NOT NULL,
       PRIMARY KEY (document, revision)
     );
     CREATE TABLE ${states} (
       id text PRIMARY KEY,
       record bytea,
       expires_at timestamptz NOT NULL
     );
     CREATE TABLE ${chunks} (
       state text REFERENCES ${states} ON DELETE CASCADE,
       number integer,
       record bytea NOT NULL,
       PRIMARY KEY (state, number)
     );
     CREATE TABLE ${garbage} (document bigint PRIMARY KEY);
     ALTER TABLE ${entries} ALTER record SET STORAGE EXTERNAL;
     ALTER TABLE ${states} ALTER record SET STORAGE EXTERNAL;
     ALTER TABLE ${chunks} ALTER record SET STORAGE EXTERNAL;`,
  ]
}

/** Brings the tables to the version of this code; nodes that start together wait for each other. Newer tables are refused. */
export async function migrate(database: PostgresDatabase, tables: PostgresTables): Promise<void> {
  const { schema } = tables
  const all = steps(tables)
  await database.transaction(async (run) => {
    await run(`SELECT pg_advisory_xact_lock(hashtextextended('polyphony ${schema}', 0))`)
    await run(`CREATE SCHEMA IF NOT EXISTS "${schema}"`)
    await run(`CREATE TABLE IF NOT EXISTS "${schema}".version (number integer NOT NULL)`)
    const [row] = await run(`SELECT number FROM "${schema}".version`)
    const version = row === undefined ? 0 : Number(row['number'])
    if (version > all.length)
      throw new Error(
        `The schema "${schema}" is of version ${version}, and this program knows ${all.length}.`,
      )
    for (const step of all.slice(version)) await run(step)
    if (row === undefined) await run(`INSERT INTO "${schema}".version VALUES (${all.length})`)
    else await run(`UPDATE "${schema}".version SET number = ${all.length}`)
  })
}
