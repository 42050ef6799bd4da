/* Winograd's transforms for winograd.py. Each reads its tile once and keeps it in registers, 16 channels at a time.

   Maps are (images, height, width, channels) floats without gaps; channels is a multiple of 16. Tiles are
   (n n, tiles, channels) with n = m + 2 for m outputs a side; tiles = images down across. The matrices BT3, AT3, BT4,
   AT4 come from winograd.py, which puts them before this text: constants, so that nothing is left of their zeros. */

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

#define LANES 16
#define MOST 6 /* inputs of a tile a side */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 6")

typedef struct {
    long images, height, width, channels, down, across;
} Shape;

/* map -> tiles: B^T d B of overlapping patches, zeros around the map */
INLINE void input(const int m, const float bt[m + 2][m + 2], const float *x, float *tiles, const Shape s) {
    const int n = m + 2;
    const long per_image = s.down * s.across, plane = s.images * per_image * s.channels;
#pragma omp parallel for schedule(static)
    for (long t = 0; t < s.images * per_image; t++) {
        const float *image = x + t / per_image * s.height * s.width * s.channels;
        const long top = t % per_image / s.across * m - 1, left = t % s.across * m - 1;
        for (long c0 = 0; c0 < s.channels; c0 += LANES) {
            lanes half[MOST][MOST]; /* d B */
            UNROLL for (int i = 0; i < n; i++) {
                const long y = top + i;
                lanes d[MOST];
                UNROLL for (int j = 0; j < n; j++) {
                    const long z = left + j;
                    const int inside = y >= 0 && y < s.height && z >= 0 && z < s.width;
                    d[j] = inside ? *(const lanes *)(image + (y * s.width + z) * s.channels + c0) : (lanes){0};
                }
                UNROLL for (int c = 0; c < n; c++) {
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < n; k++) if (bt[c][k] != 0) sum += bt[c][k] * d[k];
                    half[i][c] = sum;
                }
            }
            float *to = tiles + t * s.channels + c0;
            UNROLL for (int r = 0; r < n; r++)
                UNROLL for (int c = 0; c < n; c++) {
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < n; k++) if (bt[r][k] != 0) sum += bt[r][k] * half[k][c];
                    *(lanes *)(to + (r * n + c) * plane) = sum;
                }
        }
    }
}

/* tiles -> map: A^T d A, cut to the map's size */
INLINE void output(const int m, const float at[m][m + 2], const float *tiles, float *y, const Shape s) {
    const int n = m + 2;
    const long per_image = s.down * s.across, plane = s.images * per_image * s.channels;
#pragma omp parallel for schedule(static)
    for (long t = 0; t < s.images * per_image; t++) {
        float *image = y + t / per_image * s.height * s.width * s.channels;
        const long top = t % per_image / s.across * m, left = t % s.across * m;
        for (long c0 = 0; c0 < s.channels; c0 += LANES) {
            const float *from = tiles + t * s.channels + c0;
            lanes half[MOST][MOST]; /* d A */
            UNROLL for (int i = 0; i < n; i++) {
                lanes d[MOST];
                UNROLL for (int j = 0; j < n; j++) d[j] = *(const lanes *)(from + (i * n + j) * plane);
                UNROLL for (int c = 0; c < m; c++) {
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < n; k++) if (at[c][k] != 0) sum += at[c][k] * d[k];
                    half[i][c] = sum;
                }
            }
            UNROLL for (int r = 0; r < m; r++)
                UNROLL for (int c = 0; c < m; c++) {
                    if (top + r >= s.height || left + c >= s.width) continue;
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < n; k++) if (at[r][k] != 0) sum += at[r][k] * half[k][c];
                    *(lanes *)(image + ((top + r) * s.width + left + c) * s.channels + c0) = sum;
                }
        }
    }
}

/* the transpose of output: a gradient of the map -> tiles */
INLINE void output_back(const int m, const float at[m][m + 2], const float *dy, float *tiles, const Shape s) {
    const int n = m + 2;
    const long per_image = s.down * s.across, plane = s.images * per_image * s.channels;
#pragma omp parallel for schedule(static)
    for (long t = 0; t < s.images * per_image; t++) {
        const float *image = dy + t / per_image * s.height * s.width * s.channels;
        const long top = t % per_image / s.across * m, left = t % s.across * m;
        for (long c0 = 0; c0 < s.channels; c0 += LANES) {
            lanes half[MOST][MOST]; /* d A^T */
            UNROLL for (int i = 0; i < m; i++) {
                lanes d[MOST];
                UNROLL for (int j = 0; j < m; j++) {
                    const int inside = top + i < s.height && left + j < s.width;
                    const float *pixel = image + ((top + i) * s.width + left + j) * s.channels + c0;
                    d[j] = inside ? *(const lanes *)pixel : (lanes){0};
                }
                UNROLL for (int c = 0; c < n; c++) {
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < m; k++) if (at[k][c] != 0) sum += at[k][c] * d[k];
                    half[i][c] = sum;
                }
            }
            float *to = tiles + t * s.channels + c0;
            UNROLL for (int r = 0; r < n; r++)
                UNROLL for (int c = 0; c < n; c++) {
                    lanes sum = {0};
                    UNROLL for (int k = 0; k < m; k++) if (at[k][r] != 0) sum += at[k][r] * half[k][c];
                    *(lanes *)(to + (r * n + c) * plane) = sum;
                }
        }
    }
}

/* the transpose of input: tiles -> a gradient of the map, where overlapping patches are added up */
INLINE void input_back(const int m, const float bt[m + 2][m + 2], const float *tiles, float *dx, const Shape s) {
    const int n = m + 2;
    const long per_image = s.down * s.across, plane = s.images * per_image * s.channels;
    const long pixels = s.height * s.width;
#pragma omp parallel for schedule(static)
    for (long b = 0; b < s.images; b++) {
        float *image = dx + b * pixels * s.channels;
        __builtin_memset(image, 0, sizeof(float) * pixels * s.channels);
        for (long t = 0; t < per_image; t++) {
            const long top = t / s.across * m - 1, left = t % s.across * m - 1;
            for (long c0 = 0; c0 < s.channels; c0 += LANES) {
                const float *from = tiles + (b * per_image + t) * s.channels + c0;
                lanes half[MOST][MOST]; /* d B^T */
                UNROLL for (int i = 0; i < n; i++) {
                    lanes d[MOST];
                    UNROLL for (int j = 0; j < n; j++) d[j] = *(const lanes *)(from + (i * n + j) * plane);
                    UNROLL for (int c = 0; c < n; c++) {
                        lanes sum = {0};
                        UNROLL for (int k = 0; k < n; k++) if (bt[k][c] != 0) sum += bt[k][c] * d[k];
                        half[i][c] = sum;
                    }
                }
                UNROLL for (int r = 0; r < n; r++)
                    UNROLL for (int c = 0; c < n; c++) {
                        const long y = top + r, z = left + c;
                        if (y < 0 || y >= s.height || z < 0 || z >= s.width) continue;
                        lanes sum = {0};
                        UNROLL for (int k = 0; k < n; k++) if (bt[k][r] != 0) sum += bt[k][r] * half[k][c];
                        *(lanes *)(image + (y * s.width + z) * s.channels + c0) += sum;
                    }
            }
        }
    }
}

void input_3(const float *from, float *to, Shape s) { input(3, BT3, from, to, s); }
void input_4(const float *from, float *to, Shape s) { input(4, BT4, from, to, s); }
void output_3(const float *from, float *to, Shape s) { output(3, AT3, from, to, s); }
void output_4(const float *from, float *to, Shape s) { output(4, AT4, from, to, s); }
void output_back_3(const float *from, float *to, Shape s) { output_back(3, AT3, from, to, s); }
void output_back_4(const float *from, float *to, Shape s) { output_back(4, AT4, from, to, s); }
void input_back_3(const float *from, float *to, Shape s) { input_back(3, BT3, from, to, s); }
void input_back_4(const float *from, float *to, Shape s) { input_back(4, BT4, from, to, s); }
