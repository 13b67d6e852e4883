import { config } from 'zod/v4/core'

// The AG-UI client checks events with zod, which compiles its checks unless told not to. The page's content security
// policy forbids that, and browsers report even the attempt.
// The version in package.json is the one that @ag-ui/client uses: the setting is per copy of zod.
config({ jitless: true })
