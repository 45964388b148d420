import { workOnImage } from '../drivers/bun-image.ts';
import { serveJobs } from './serve-jobs.ts';

/** A child that decodes pictures of strangers. */
serveJobs(workOnImage);
