// Patches as codes, and sets of their voxels as bits.
#include "patch.cuh"

#define SIDE 32  // patches and voxels that a block turns from rows of the head into rows of codes

// A code for each voxel: its class, and its probability in units of 1/255.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    encode(const float *__restrict__ head, const long long *__restrict__ centres, int count,
           const unsigned char *__restrict__ inside, int depth, int height, int length, int pz, int py, int px,
           bool sparse, double t, double below, short *__restrict__ codes)
{
    __shared__ short square[SIDE][SIDE + 1];
    const Triple image = {depth, height, length}, patch = {pz, py, px};
    const int voxels = pz * py * px, row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
    const long long pixels = (long long)depth * height * length;
    const int k = blockIdx.x * SIDE + column, c = blockIdx.y * SIDE + column;
    for (int n = row; n < SIDE; n += THREADS / SIDE) {
        const int voxel = blockIdx.y * SIDE + n;
        if (k >= count || voxel >= voxels)
            continue;
        const long long centre = centres[k];
        const Triple at = {(int)(centre / length / height), (int)(centre / length % height), (int)(centre % length)};
        const Triple there = plus(minus(at, half(patch)), place(voxel, patch));
        int code = UNCOVERED;
        if (within(there, image) && (!sparse || inside[raster(there, image)])) {
            const double p = head[voxel * pixels + centre];
            code = p > t ? (int)rint(255.0 * fmin(p, 1.0)) + 1 : p < below ? (int)rint(255.0 * fmax(p, 0.0)) - 256 : 0;
        }
        square[n][column] = code;
    }
    __syncthreads();
    for (int n = row; n < SIDE; n += THREADS / SIDE) {
        const long long patch_n = (long long)blockIdx.x * SIDE + n;
        if (patch_n < count && c < voxels)
            codes[patch_n * voxels + c] = square[column][n];
    }
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

// The same for voxels of the patch with p above `cut`.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    above(const float *__restrict__ head, long long pixels, const long long *__restrict__ centres,
          const short *__restrict__ codes, long long count, int voxels, int words, double cut,
          unsigned long long *__restrict__ bits)
{
    const long long n = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (n >= count * words)
        return;
    const long long k = n % count;
    const int begin = n / count * 64;
    unsigned long long word = 0;
    for (int c = begin; c < min(begin + 64, voxels); c++) {
        const bool covered = codes[k * voxels + c] != UNCOVERED;
        word |= (unsigned long long)(covered && (double)head[c * pixels + centres[k]] > cut) << (c - begin);
    }
    bits[k * words + begin / 64] = word;
}
