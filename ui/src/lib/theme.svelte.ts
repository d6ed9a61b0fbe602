// Light, dark, or as the system says; remembered on this device.

export type Theme = 'system' | 'light' | 'dark'

const key = 'assay.theme'
const isTheme = (value: unknown): value is Theme => value === 'light' || value === 'dark' || value === 'system'
const systemIsDark = matchMedia('(prefers-color-scheme: dark)')

function remembered(): Theme {
  try {
    const value = localStorage.getItem(key)
    return isTheme(value) ? value : 'system'
  } catch {
    return 'system'
  }
}

let chosen = $state<Theme>(remembered())
let isSystemDark = $state(systemIsDark.matches)
systemIsDark.addEventListener('change', (event) => (isSystemDark = event.matches))

export const theme = {
  get chosen() {
    return chosen
  },
  get isDark() {
    return chosen === 'dark' || (chosen === 'system' && isSystemDark)
  },
}

export function chooseTheme(value: Theme) {
  chosen = value
  try {
    localStorage.setItem(key, value)
  } catch {
    // Storage may be forbidden; then the choice holds until the page is left.
  }
  applyTheme()
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme.isDark ? 'dark' : 'light'
}

systemIsDark.addEventListener('change', applyTheme)
