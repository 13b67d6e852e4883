import { tellStory } from './story.ts'

tellStory((line) => console.log(line))
