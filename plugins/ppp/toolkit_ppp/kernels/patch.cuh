// What all kernels share. Axes are Z, Y, X; two-dimensional images have one plane.
#pragma once

#define THREADS 128  // of a block
#define RESIDENT 8   // blocks that a multiprocessor holds at least: a thread has 64 registers
#define TILE 4       // pixels of a row whose windows are filled together: a code is fetched once for all of them
#define UNCOVERED -32768
#define UNSEEN (-2147483647 - 1)  // an affinity for which no patch votes

struct Triple {
    int z, y, x;
};

// Place number n of a box, in raster order.
__device__ inline Triple place(int n, Triple box)
{
    return {n / (box.y * box.x), n / box.x % box.y, n % box.x};
}

__device__ inline long long raster(Triple at, Triple box)
{
    return ((long long)at.z * box.y + at.y) * box.x + at.x;
}

__device__ inline bool within(Triple at, Triple box)
{
    return (unsigned)at.z < (unsigned)box.z && (unsigned)at.y < (unsigned)box.y && (unsigned)at.x < (unsigned)box.x;
}

__device__ inline Triple minus(Triple a, Triple b)
{
    return {a.z - b.z, a.y - b.y, a.x - b.x};
}

__device__ inline Triple plus(Triple a, Triple b)
{
    return {a.z + b.z, a.y + b.y, a.x + b.x};
}

__device__ inline Triple half(Triple a)
{
    return {a.z / 2, a.y / 2, a.x / 2};
}

// Position of an offset in a window, and of a voxel in a patch that is laid out like one.
__device__ inline int position(Triple at, Triple patch)
{
    const int row = 2 * patch.x - 1;
    return (at.z * (2 * patch.y - 1) + at.y) * row + at.x;
}

// A voxel's class by its code: 1 foreground, −1 background, 0 undecided or not in the patch.
__device__ inline int class_of(int code)
{
    return code > 0 ? 1 : code < 0 && code != UNCOVERED ? -1 : 0;
}

// p of foreground, −(1 − p) of background, in units of 1/255.
__device__ inline int value_of(int code)
{
    return code == UNCOVERED ? 0 : code - class_of(code);
}

// 2 if foreground, 1 if Z_aff counts the voxel otherwise, else 0.
__device__ inline int level_of(int code, bool decided)
{
    return code > 0 ? 2 : code != UNCOVERED && (code < 0 || !decided) ? 1 : 0;
}
