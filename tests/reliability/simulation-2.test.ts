import { simulateSeeds } from './sim/seeds.ts';

simulateSeeds(1, 2);
