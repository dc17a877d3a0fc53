// Scores of patches (Eq 5) from windows of affinities: a block per patch, a thread per second pixel of its pairs.
#include "patch.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    agree(const short *__restrict__ codes, const long long *__restrict__ centres, int first,
          const int *__restrict__ slots, const unsigned char *__restrict__ masks, const int *__restrict__ affinities,
          const int *__restrict__ positions, int height, int length, int start_z, int start_y, int start_x, int tiles_z,
          int tiles_y, int tiles_x, int pz, int py, int px, int width, long long *__restrict__ agreement)
{
    __shared__ long long windows[THREADS];
    __shared__ int numbers[THREADS], own[THREADS], listed;
    __shared__ long long sums[THREADS / 32];
    const int k = first + blockIdx.x, me = threadIdx.x;
    const Triple patch = {pz, py, px}, tiles = {tiles_z, tiles_y, tiles_x}, start = {start_z, start_y, start_x};
    const int voxels = pz * py * px;
    const long long centre = centres[k];
    const Triple at = {(int)(centre / length / height), (int)(centre / length % height), (int)(centre % length)};
    // From voxels of the patch to pixels of the pane, whose windows are there.
    const Triple shift = minus(minus(at, half(patch)), start);
    const short *__restrict__ mine = codes + (long long)k * voxels;

    long long total = 0;
    for (int from = 0; from < voxels; from += THREADS) {
        if (me == 0)
            listed = 0;
        __syncthreads();
        if (from + me < voxels) {
            const int i = from + me, type = class_of(mine[i]);
            const Triple pixel = plus(place(i, patch), shift);
            const Triple tile = {pixel.z, pixel.y, pixel.x >= 0 ? pixel.x / TILE : -1};
            const int slot = type != 0 && within(tile, tiles) ? slots[raster(tile, tiles)] : -1;
            if (slot >= 0 && (masks[slot] >> pixel.x % TILE & 1)) {
                const int e = atomicAdd(&listed, 1);
                windows[e] = ((long long)slot * TILE + pixel.x % TILE) * width - positions[i];
                numbers[e] = i;
                own[e] = type;
            }
        }
        __syncthreads();
        if (listed > 0)
            for (int j = from + 1 + me; j < voxels; j += THREADS) {
                const int type = class_of(mine[j]), here = positions[j];
                if (type == 0)
                    continue;
                int sum = 0;
                for (int e = 0; e < listed; e++)
                    // Two pixels that are background count nothing.
                    if (numbers[e] < j && (own[e] > 0 || type > 0))
                        sum += own[e] * type * affinities[windows[e] + here];
                total += sum;
            }
        __syncthreads();
    }
    for (int d = 16; d > 0; d /= 2)
        total += __shfl_down_sync(0xffffffff, total, d);
    if (me % 32 == 0)
        sums[me / 32] = total;
    __syncthreads();
    if (me == 0) {
        total = 0;
        for (int w = 0; w < THREADS / 32; w++)
            total += sums[w];
        agreement[k] += total;
    }
}
