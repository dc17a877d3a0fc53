// Runs CUDA kernels on the CPU, to test them without a GPU: a fiber for each thread of a block, one block after the
// other. A thread runs until it waits for others; which one runs next is a matter of `seed`, so that a forgotten barrier
// shows under some order. Finds barriers that not all threads reach, and arguments of other types than the kernel's.
// It does not model memory between blocks or warps in lockstep. Threads of a block are one-dimensional, warps are full.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __syncthreads() shim::wait(shim::BLOCK, __LINE__)
#define __syncwarp() shim::wait(shim::WARP, __LINE__)
#define __shfl_down_sync(mask, value, by) shim::shuffle(mask, value, shim::lane() + (by), __LINE__)
#define __shfl_xor_sync(mask, value, by) shim::shuffle(mask, value, shim::lane() ^ (by), __LINE__)
#define __shfl_sync(mask, value, from) shim::shuffle(mask, value, from, __LINE__)

using std::max;
using std::min;

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {
enum State { READY, WARP, BLOCK, DONE };
struct Fiber {
    jmp_buf context;
    State state;
    int line;
    unsigned long long exchanged[2];
    bool turn;
    std::vector<char> stack = std::vector<char>(1 << 16);
};
static std::vector<Fiber> fibers;
static jmp_buf home;
static ucontext_t start;
static std::function<void()> body;
static std::string failure;

inline int lane() { return threadIdx.x % 32; }

// Jumps save no signal mask, so that they need no system call.
inline void wait(State state, int line)
{
    Fiber &me = fibers[threadIdx.x];
    me.state = state, me.line = line;
    if (!_setjmp(me.context))
        _longjmp(home, 1);
}

template <class T> T shuffle(unsigned mask, T value, int from, int line)
{
    if (mask != 0xffffffff)
        failure = "shuffles work on full warps only";
    Fiber &me = fibers[threadIdx.x];
    // Two places take turns: a lane may be at its next shuffle before others have read this one.
    const bool turn = me.turn = !me.turn;
    std::memcpy(&me.exchanged[turn], &value, sizeof(T));
    wait(WARP, line);
    if (from >= 0 && from < 32)
        std::memcpy(&value, &fibers[threadIdx.x / 32 * 32 + from].exchanged[turn], sizeof(T));
    return value;
}

// A fiber lives as long as the process; it runs a thread of one block after the other.
inline void enter()
{
    if (!_setjmp(fibers[threadIdx.x].context))
        setcontext(&start);
    for (;;) {
        body();
        wait(DONE, 0);
    }
}

inline void make_fibers(unsigned threads)
{
    fibers = std::vector<Fiber>(threads);
    for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) {
        ucontext_t fresh;
        getcontext(&fresh);
        fresh.uc_stack.ss_sp = fibers[threadIdx.x].stack.data();
        fresh.uc_stack.ss_size = fibers[threadIdx.x].stack.size();
        makecontext(&fresh, enter, 0);
        swapcontext(&start, &fresh);
    }
}

// Let the fibers begin … end go on if all of them wait for the same thing at the same place.
inline bool release(size_t begin, size_t end, State state)
{
    for (size_t n = begin; n < end; n++)
        if (fibers[n].state != state || fibers[n].line != fibers[begin].line)
            return false;
    for (size_t n = begin; n < end; n++)
        fibers[n].state = READY;
    return true;
}

inline void run_block(const std::vector<unsigned> &order)
{
    for (Fiber &fiber : fibers)
        fiber.state = READY, fiber.turn = false;
    while (failure.empty()) {
        const auto next = std::find_if(order.begin(), order.end(), [](unsigned n) { return fibers[n].state == READY; });
        if (next == order.end()) {
            if (release(0, fibers.size(), BLOCK))
                continue;
            for (unsigned n = 0; n < fibers.size(); n++)
                if (fibers[n].state != DONE)
                    failure = "deadlock: thread " + std::to_string(n) + " waits in line " + std::to_string(fibers[n].line);
            return;
        }
        threadIdx.x = *next;
        if (!_setjmp(home))
            _longjmp(fibers[*next].context, 1);
        release(*next / 32 * 32, *next / 32 * 32 + 32, WARP);
    }
}

// A type as a word: p for a pointer, f or i for floating point or not, bytes.
template <class A> std::string word()
{
    using T = std::remove_pointer_t<A>;
    return (std::is_pointer_v<A> ? "p" : "") + std::string(std::is_floating_point_v<T> ? "f" : "i") +
           std::to_string(sizeof(T)) + " ";
}

template <class... A, size_t... N>
const char *launch(void (*kernel)(A...), std::index_sequence<N...>, const unsigned *grid, unsigned threads,
                   const char *types, void **given, unsigned seed)
{
    failure = (word<A>() + ... + "") == types ? "" : "the kernel takes " + (word<A>() + ... + "") + "and is given " + types;
    body = [=] { kernel(*static_cast<std::remove_const_t<A> *>(given[N])...); };
    gridDim = {grid[0], grid[1], grid[2]}, blockDim.x = threads;
    make_fibers(threads);
    std::mt19937 random(seed);
    std::vector<unsigned> order(threads);
    std::iota(order.begin(), order.end(), 0);
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0] && failure.empty(); blockIdx.x++) {
                if (seed)
                    std::shuffle(order.begin(), order.end(), random);
                run_block(order);
            }
    return failure.c_str();
}
} // namespace shim

inline int atomicAdd(int *at, int value) { return std::exchange(*at, *at + value); }
inline unsigned long long atomicAdd(unsigned long long *at, unsigned long long value)
{
    return std::exchange(*at, *at + value);
}

template <class... A> std::index_sequence_for<A...> numbered(void (*)(A...)) { return {}; }
#define KERNEL(name)                                                                                        \
    extern "C" const char *launch_##name(const unsigned *grid, unsigned threads, const char *types, void **given, \
                                         unsigned seed)                                                     \
    {                                                                                                       \
        return shim::launch(name, numbered(name), grid, threads, types, given, seed);                       \
    }
