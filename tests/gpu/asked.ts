// Whether tests on a GPU were asked for; `framepack test --gpu` does, and only where there is one.

export const isAsked = process.env.FRAMEPACK_TEST_GPU === "1";
