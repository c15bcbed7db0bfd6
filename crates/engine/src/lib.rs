//! A model as a static graph: operators with hand-written derivatives, memory planner, executor
