// Patches as codes, and sets of their voxels as bits.
#include "patch.cuh"

// A code for each entry: its class, and its probability in units of 1/255.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    classify(const float *__restrict__ rows, long long entries, double t, double below, short *__restrict__ codes)
{
    const long long n = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (n >= entries)
        return;
    const double p = rows[n];
    codes[n] = p > t ? (int)rint(255.0 * fmin(p, 1.0)) + 1 : p < below ? (int)rint(255.0 * fmax(p, 0.0)) - 256 : 0;
}

// Voxels outside the image, or its foreground where patches are sparse, belong to no patch.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    confine(short *__restrict__ codes, const long long *__restrict__ centres, long long count,
            const unsigned char *__restrict__ inside, int depth, int height, int length, int pz, int py, int px,
            bool sparse)
{
    const Triple image = {depth, height, length}, patch = {pz, py, px};
    const int voxels = pz * py * px;
    const long long n = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (n >= count * voxels)
        return;
    const long long centre = centres[n / voxels];
    const Triple at = {(int)(centre / length / height), (int)(centre / length % height), (int)(centre % length)};
    const Triple there = plus(minus(at, half(patch)), place(n % voxels, patch));
    if (!within(there, image) || (sparse && !inside[raster(there, image)]))
        codes[n] = UNCOVERED;
}

// Bit c of a row of words: whether voxel c is foreground.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    members(const short *__restrict__ codes, long long count, int voxels, int words,
            unsigned long long *__restrict__ bits)
{
    const long long n = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (n >= count * words)
        return;
    const long long k = n / words;
    const int begin = n % words * 64;
    unsigned long long word = 0;
    for (int c = begin; c < min(begin + 64, voxels); c++)
        word |= (unsigned long long)(codes[k * voxels + c] > 0) << (c - begin);
    bits[n] = word;
}
