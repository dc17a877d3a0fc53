// Consensus affinities (Eqs 3 and 4): a block per tile of pixels and stretch of their windows, a thread per pixel of it.
#include "patch.cuh"

// What a patch says of the pixels of the tile, and where in it the first of them is.
struct Said {
    int value[TILE], least[TILE], level[TILE], sign[TILE];
    long long at;
    Triple voxel;
};

// Windows of neighbours are offset by one: together they span rows that are TILE − 1 longer than one of them.
__device__ inline Triple offset(int n, Triple patch)
{
    const int row = 2 * patch.x + TILE - 2, plane = row * (2 * patch.y - 1);
    n += (patch.y - 1) * row + patch.x - 1;
    return {n / plane, n % plane / row - (patch.y - 1), n % row - (patch.x - 1)};
}

__device__ inline int affinity(int votes, int seen, int balance, double t2)
{
    if (seen == 0)
        return UNSEEN;
    double exact = votes;
    if (t2 >= 0)
        exact = (exact - 65025.0 * t2 * balance) / (1.0 - t2);
    return (int)rint(exact * 16384.0 / (seen * 65025.0));
}

template <bool NORMALISED>
__device__ inline void fill(const int *__restrict__ rows, const short *__restrict__ codes,
                            const int *__restrict__ tiles, const unsigned char *__restrict__ masks, Triple image,
                            Triple patch, bool decided, double t2, int span, int width, int *__restrict__ affinities)
{
    __shared__ Said said[THREADS];
    __shared__ int listed;
    const int stretches = (span + THREADS - 1) / THREADS, me = threadIdx.x;
    const long long tile = blockIdx.x / stretches;
    const int begin = blockIdx.x % stretches * THREADS, n = begin + me;
    const int voxels = patch.z * patch.y * patch.x, mask = masks[tile];
    const Triple y = {tiles[3 * tile], tiles[3 * tile + 1], tiles[3 * tile + 2]}, radius = half(patch);
    const Triple to = offset(n, patch);
    const int step = (to.z * patch.y + to.y) * patch.x + to.x;

    // The box of centres whose patches cover a pixel of the tile and one of the stretch.
    const Triple low = offset(begin, patch), high = offset(min(begin + THREADS, span) - 1, patch);
    const int up = low.z == high.z ? low.y : 1 - patch.y, down = low.z == high.z ? high.y : patch.y - 1;
    const Triple from = {max(0, y.z + low.z - radius.z), max(0, y.y + max(0, up) - radius.y), max(0, y.x - radius.x)};
    const Triple last = {min(image.z - 1, y.z + radius.z), min(image.y - 1, y.y + min(0, down) + radius.y),
                         min(image.x - 1, y.x + TILE - 1 + radius.x)};
    const Triple box = {max(0, last.z - from.z + 1), max(0, last.y - from.y + 1), max(0, last.x - from.x + 1)};
    const int centres = box.z * box.y * box.x;

    int votes[TILE] = {}, seen[TILE] = {}, balance[TILE] = {};
    for (int first = 0; first < centres; first += THREADS) {
        if (me == 0)
            listed = 0;
        __syncthreads();
        if (first + me < centres) {
            const Triple centre = plus(from, place(first + me, box));
            const int k = rows[raster(centre, image)];
            const Triple voxel = plus(minus(y, centre), radius);
            const long long at = (long long)k * voxels + (voxel.z * patch.y + voxel.y) * patch.x + voxel.x;
            Said mine = {};
            bool any = false;
            for (int i = 0; i < TILE; i++) {
                const bool covered = k >= 0 && (mask >> i & 1) && (unsigned)(voxel.x + i) < (unsigned)patch.x;
                const int code = covered ? codes[at + i] : UNCOVERED;
                const int level = level_of(code, decided);
                mine.value[i] = level > 0 ? value_of(code) : 0;
                mine.sign[i] = class_of(code);
                // To background only foreground answers, and only to a pixel that counts anything does.
                mine.least[i] = level == 2 ? -256 : 0;
                mine.level[i] = level == 2 ? 1 : level == 1 ? 2 : 255;
                any |= level > 0;
            }
            if (any) {
                mine.at = at;
                mine.voxel = voxel;
                said[atomicAdd(&listed, 1)] = mine;
            }
        }
        __syncthreads();
        for (int e = 0; e < listed; e++) {
            const Said &by = said[e];
            if (!within(plus(by.voxel, to), patch))
                continue;
            const int code = codes[by.at + step];
            const int value = value_of(code), level = level_of(code, decided);
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                votes[i] += by.value[i] * max(value, by.least[i]);
                seen[i] += level >= by.level[i];
                if (NORMALISED)
                    balance[i] += by.sign[i] * max(class_of(code), by.least[i]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        const Triple step_i = {to.z, to.y, to.x - i};
        const int at = position(step_i, patch);
        if (n < span && (mask >> i & 1) && at >= 0 && step_i.x > -patch.x && step_i.x < patch.x)
            affinities[(tile * TILE + i) * width + at] = affinity(votes[i], seen[i], balance[i], t2);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    consensus(const int *rows, const short *codes, const int *tiles, const unsigned char *masks, int depth, int height,
              int length, int pz, int py, int px, bool decided, int span, int width, int *affinities)
{
    fill<false>(rows, codes, tiles, masks, {depth, height, length}, {pz, py, px}, decided, -1.0, span, width,
                affinities);
}

// The same for votes (p·p − t²)/(1 − t²).
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    consensus_normalised(const int *rows, const short *codes, const int *tiles, const unsigned char *masks, int depth,
                         int height, int length, int pz, int py, int px, bool decided, double t2, int span, int width,
                         int *affinities)
{
    fill<true>(rows, codes, tiles, masks, {depth, height, length}, {pz, py, px}, decided, t2, span, width, affinities);
}
