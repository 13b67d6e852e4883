import { agentSuite } from './agent-suite.ts'

agentSuite()
