// The patch graph (Eq 6) from windows of affinities: a block per pixel that some selected patch holds, a warp per
// patch that holds successors of it.
#include "patch.cuh"

#define HOLDERS 512  // patches that are linked at a time

// Whether a pixel is in the foreground of a node's patch.
__device__ inline bool holds(int node, Triple pixel, const long long *where, const unsigned char *members, Triple patch)
{
    const Triple at = {(int)where[3 * node], (int)where[3 * node + 1], (int)where[3 * node + 2]};
    const Triple voxel = plus(minus(pixel, at), half(patch));
    return within(voxel, patch) && members[(long long)node * patch.z * patch.y * patch.x + raster(voxel, patch)];
}

// The place of `node` in an ascending list that has it.
__device__ inline long long find(const int *neighbours, long long low, long long high, int node)
{
    while (low < high) {
        const long long middle = (low + high) / 2;
        if (neighbours[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Note in `held`, a box of pixels that begins at `shift` in the frame of the nodes, which of them are in some patch.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    mark(const long long *__restrict__ where, const unsigned char *__restrict__ members, long long count, int shift_z,
         int shift_y, int shift_x, int depth, int height, int length, int pz, int py, int px,
         unsigned char *__restrict__ held)
{
    const long long n = (long long)blockIdx.x * THREADS + threadIdx.x;
    const Triple patch = {pz, py, px}, box = {depth, height, length}, shift = {shift_z, shift_y, shift_x};
    const int voxels = pz * py * px;
    if (n >= count * voxels || !members[n])
        return;
    const long long *at = where + n / voxels * 3;
    const Triple centre = {(int)at[0], (int)at[1], (int)at[2]};
    const Triple pixel = minus(plus(minus(centre, half(patch)), place(n % voxels, patch)), shift);
    if (within(pixel, box))
        held[raster(pixel, box)] = 1;
}

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    link(const int *__restrict__ tiles, const unsigned char *__restrict__ masks, const int *__restrict__ affinities,
         int width, const int *__restrict__ rows, const long long *__restrict__ where,
         const unsigned char *__restrict__ members, const long long *__restrict__ starts,
         const int *__restrict__ neighbours, int depth, int height, int length, int shift_z, int shift_y, int shift_x,
         int reach_z, int reach_y, int reach_x, int pz, int py, int px, bool in_range, bool self_pairs,
         unsigned long long *__restrict__ total, unsigned long long *__restrict__ pairs)
{
    __shared__ int holders[HOLDERS], candidates[THREADS], held, found;
    const long long tile = blockIdx.x / TILE;
    const int i = blockIdx.x % TILE, me = threadIdx.x, lane = me % 32;
    if (!(masks[tile] >> i & 1))
        return;
    const Triple patch = {pz, py, px}, radius = half(patch), frame = {depth, height, length};
    const Triple reach = {reach_z, reach_y, reach_x};
    const int voxels = pz * py * px;
    const Triple pixel = {tiles[3 * tile] + shift_z, tiles[3 * tile + 1] + shift_y, tiles[3 * tile + 2] + i + shift_x};
    const int *__restrict__ window = affinities + (tile * TILE + i) * width;
    const bool alone = self_pairs && window[0] != UNSEEN;
    const int own = alone ? window[0] : 0;

    // The nodes that may hold a successor of the pixel.
    const Triple from = {max(0, pixel.z - radius.z), max(0, pixel.y - reach.y - radius.y),
                         max(0, pixel.x - reach.x - radius.x)};
    const Triple last = {min(depth - 1, pixel.z + reach.z + radius.z), min(height - 1, pixel.y + reach.y + radius.y),
                         min(length - 1, pixel.x + reach.x + radius.x)};
    const Triple box = {last.z - from.z + 1, last.y - from.y + 1, last.x - from.x + 1};
    const int cells = box.z * box.y * box.x;

    for (int cell = 0; cell < voxels;) {
        if (me == 0)
            held = 0;
        int full;
        do {
            __syncthreads();
            if (cell + me < voxels) {
                const Triple centre = plus(minus(pixel, radius), place(cell + me, patch));
                const int node = within(centre, frame) ? rows[raster(centre, frame)] : -1;
                if (node >= 0 && holds(node, pixel, where, members, patch))
                    holders[atomicAdd(&held, 1)] = node;
            }
            cell += THREADS;
            __syncthreads();
            full = held;
        } while (cell < voxels && full <= HOLDERS - THREADS);
        if (full == 0)
            return;
        for (int first = 0; first < cells; first += THREADS) {
            if (me == 0)
                found = 0;
            __syncthreads();
            if (first + me < cells) {
                const int node = rows[raster(plus(from, place(first + me, box)), frame)];
                if (node >= 0)
                    candidates[atomicAdd(&found, 1)] = node;
            }
            __syncthreads();
            for (int e = me / 32; e < found; e += THREADS / 32) {
                const int node = candidates[e];
                const Triple at = {(int)where[3 * node], (int)where[3 * node + 1], (int)where[3 * node + 2]};
                const Triple corner = minus(minus(at, radius), pixel);
                int sum = 0, count = 0;
                for (int m = lane; m < voxels; m += 32) {
                    if (!members[(long long)node * voxels + m])
                        continue;
                    const Triple to = plus(corner, place(m, patch));
                    const bool successor = to.z > 0 || (to.z == 0 && (to.y > 0 || (to.y == 0 && to.x > 0)));
                    if (!successor || to.z > reach.z || to.y > reach.y || to.x > reach.x || to.y <= -py || to.x <= -px)
                        continue;
                    const bool inside = to.z < pz && to.y < py && to.x < px;
                    const int affinity = inside ? window[position(to, patch)] : UNSEEN;
                    sum += affinity != UNSEEN ? affinity : 0;
                    count += affinity != UNSEEN || in_range;
                }
                for (int d = 16; d > 0; d /= 2) {
                    sum += __shfl_xor_sync(0xffffffff, sum, d);
                    count += __shfl_xor_sync(0xffffffff, count, d);
                }
                // The pixel with itself is one pair of two nodes, though each of them holds it.
                const bool shared = (alone || in_range) && holds(node, pixel, where, members, patch);
                for (int h = lane; h < full; h += 32) {
                    const int holder = holders[h];
                    const bool twice = shared && holder < node;
                    if (holder == node || (count == 0 && !twice))
                        continue;
                    const long long edge = find(neighbours, starts[holder], starts[holder + 1], node);
                    // Sums of integers: in any order the same.
                    atomicAdd(total + edge, (unsigned long long)((long long)sum + (twice ? own : 0)));
                    atomicAdd(pairs + edge, (unsigned long long)(count + twice));
                }
            }
            __syncthreads();
        }
    }
}
