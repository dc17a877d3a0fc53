// The greedy clustering of `greedy.py` by one block of threads: seeds one after the other, their pixels at once.
// Three axes; P pixels, K seeds. Compiled without fused products, so that distances are those of the CPU bit by bit.
#define THREADS 256

extern "C" __global__ void __launch_bounds__(THREADS)
    grow(const long long *__restrict__ voxel, const float *__restrict__ offset, const float *__restrict__ inverse,
         const double *__restrict__ embedded, const double *__restrict__ step, const long long *__restrict__ cells,
         const long long *__restrict__ member, const long long *__restrict__ first,
         const long long *__restrict__ seeds, long long number, int cell, double limit, int min_size, bool overwrite,
         long long *near, unsigned char *taken, long long *label, long long *chosen, long long *count)
{
    __shared__ bool alive[THREADS];
    __shared__ int size, unclaimed;
    const int me = threadIdx.x;
    long long found = 0;
    for (long long at = 0; at < number;) {
        alive[me] = at + me < number && !taken[seeds[at + me]];
        __syncthreads();
        int next = 0;
        while (next < THREADS && !alive[next])
            next++;
        if (me == 0)
            size = unclaimed = 0;
        __syncthreads();
        at += next < THREADS ? next + 1 : THREADS;
        if (next == THREADS)
            continue;
        const long long s = seeds[at - 1];
        long long low[3], high[3];
        for (int d = 0; d < 3; d++) {
            // A hundredth of a voxel more: the cell of an embedding is computed in another rounding than φ.
            const double range = inverse[3 * s + d] > 0 ? sqrt(limit / inverse[3 * s + d]) / step[d] : 0.0;
            const double last = cells[d] - 1;
            low[d] = (long long)max(0.0, min(last, floor((embedded[3 * s + d] - range - 0.01) / cell)));
            high[d] = (long long)max(0.0, min(last, floor((embedded[3 * s + d] + range + 0.01) / cell)));
        }
        for (long long z = low[0]; z <= high[0]; z++)
            for (long long y = low[1]; y <= high[1]; y++) {
                const long long row = (z * cells[1] + y) * cells[2];
                const long long end = first[row + high[2] + 1];
                for (long long m = first[row + low[2]] + me; m < end; m += THREADS) {
                    const long long p = member[m];
                    if (taken[p] && !overwrite)
                        continue;
                    double distance = 0.0;
                    for (int d = 0; d < 3; d++) {
                        const double gap = (double)(voxel[3 * p + d] - voxel[3 * s + d]) * step[d] +
                                           (double)(offset[3 * p + d] - offset[3 * s + d]);
                        distance += (double)inverse[3 * s + d] * gap * gap;
                    }
                    if (distance < limit) {
                        near[atomicAdd(&size, 1)] = p;
                        if (!taken[p] && p != s)
                            atomicAdd(&unclaimed, 1);
                    }
                }
            }
        __syncthreads();
        const bool accepted = size >= min_size && (!overwrite || 2 * unclaimed > size);
        for (int k = me; k < size; k += THREADS) {
            taken[near[k]] = 1;
            if (accepted)
                label[near[k]] = found;
        }
        if (accepted && me == 0)
            chosen[found] = s;
        found += accepted;
        __syncthreads();
    }
    if (me == 0)
        *count = found;
}
